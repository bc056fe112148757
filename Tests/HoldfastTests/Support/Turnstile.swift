// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Lets few tests in at a time. Swift Testing starts all of them at once, and each opens several sessions where a server
/// has a hundred.
actor Turnstile {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ places: Int) { free = places }

    func enter() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func leave() {
        guard waiting.isEmpty else { return waiting.removeFirst().resume() }
        free += 1
    }
}
