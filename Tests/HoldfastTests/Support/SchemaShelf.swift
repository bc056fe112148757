// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Synchronization

/// Hands the schemas of one test to the next, because making the tables takes longer than most tests; and lets only so
/// many tests run at once: each needs connections, and two cores get no further with more.
final class SchemaShelf: Sendable {
    private struct State {
        var free: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
        var active = 0
        var emptied: [String] = []
    }

    private let state: Mutex<State>

    init(turns: Int) { self.state = Mutex(State(free: turns)) }

    /// Waits for a turn. Returns the suffix of schemas whose tables are there and empty, if there are such and they will do,
    /// otherwise a new one.
    func take(fresh: Bool) async -> String {
        await withCheckedContinuation { waiter in
            let proceeds = self.state.withLock { state in
                guard state.free > 0 else {
                    state.waiters.append(waiter)
                    return false
                }
                state.free -= 1
                return true
            }
            if proceeds { waiter.resume() }
        }
        return self.state.withLock { state in
            state.active += 1
            return (fresh ? nil : state.emptied.popLast()) ?? UUID().uuidString.prefix(8).lowercased()
        }
    }

    /// Ends a turn. Returns the suffixes of the schemas to drop: all of them, when nobody is left who could use them.
    ///
    /// - Parameter emptied: The suffix of schemas that the next test may have.
    func giveBack(emptied: String?) -> [String] {
        let (next, dropped) = self.state.withLock { state -> (CheckedContinuation<Void, Never>?, [String]) in
            state.active -= 1
            if let emptied { state.emptied.append(emptied) }
            if !state.waiters.isEmpty { return (state.waiters.removeFirst(), []) }
            state.free += 1
            guard state.active == 0 else { return (nil, []) }
            defer { state.emptied = [] }
            return (nil, state.emptied)
        }
        next?.resume()
        return dropped
    }
}
