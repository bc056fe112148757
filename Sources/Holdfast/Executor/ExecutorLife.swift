// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// The life of one executor's `run()`.
///
/// States: *new* → *starting* → *ready* → *ended*. `run()` may be called once. Whoever waits to be told that it is ready is
/// also told when it ends before.
final class ExecutorLife: Sendable {
    private enum Phase { case new, starting, ready, ended }

    private struct State {
        var phase: Phase = .new
        var isReplaced = false
        var isKilled = false
        var isDrainRequested = false
        var waiters: [CheckedContinuation<Bool, Never>] = []
    }

    private let state = Mutex(State())
    /// Woken when the executor must stop by itself.
    let stop = WakeSignal()
    /// Woken when the executor must hand over its work and claim nothing more.
    let drain = WakeSignal()

    /// - Returns: `false` when `run()` was called before.
    func begin() -> Bool {
        self.state.withLock { state in
            guard state.phase == .new else { return false }
            state.phase = .starting
            return true
        }
    }

    func ready() { self.move(to: .ready) }

    func end() { self.move(to: .ended) }

    func replaced() {
        self.state.withLock { $0.isReplaced = true }
        self.stop.wake()
    }

    /// A test has killed what stands for the process.
    func killed() {
        self.state.withLock { $0.isKilled = true }
        self.stop.wake()
    }

    /// An operator wants the executor drained; it stays a member, so that one sees when it is idle.
    func requestDrain() {
        self.state.withLock { $0.isDrainRequested = true }
        self.drain.wake()
    }

    var isReplaced: Bool { self.state.withLock { $0.isReplaced } }

    var isKilled: Bool { self.state.withLock { $0.isKilled } }

    /// - Returns: Whether the executor is ready; `false` when it ended before.
    func untilReady() async -> Bool {
        await withCheckedContinuation { waiter in
            let answer: Bool? = self.state.withLock { state in
                switch state.phase {
                case .ready: return true
                case .ended: return false
                case .new, .starting:
                    state.waiters.append(waiter)
                    return nil
                }
            }
            if let answer { waiter.resume(returning: answer) }
        }
    }

    private func move(to phase: Phase) {
        let waiters = self.state.withLock { state in
            state.phase = phase
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: phase == .ready) }
    }
}
