// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// The life of one executor's `run()`.
///
/// States: *new* → *starting* → *ready* → *ended*. `run()` may be called once. Whoever waits to be told that it is ready is
/// also told when it ends before.
final class ExecutorLife: Sendable {
    /// What became of the start.
    enum Readiness: Sendable {
        case ready
        /// It ended before, perhaps because of an error.
        case ended((any Error)?)
    }

    private enum Phase { case new, starting, ready, ended }

    private struct State {
        var phase: Phase = .new
        var isReplaced = false
        var isDrainRequested = false
        var failure: (any Error)?
        var waiters: [CheckedContinuation<Readiness, Never>] = []
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

    func ready() { self.move(to: .ready, .ready) }

    func end(_ failure: (any Error)? = nil) { self.move(to: .ended, .ended(failure)) }

    func replaced() {
        self.state.withLock { $0.isReplaced = true }
        self.stop.wake()
    }

    /// An operator wants the executor drained; it stays a member, so that one sees when it is idle.
    func requestDrain() {
        self.state.withLock { $0.isDrainRequested = true }
        self.drain.wake()
    }

    var isReplaced: Bool { self.state.withLock { $0.isReplaced } }

    /// Waits until the executor is ready or has ended.
    func untilReady() async -> Readiness {
        await withCheckedContinuation { waiter in
            let answer: Readiness? = self.state.withLock { state in
                switch state.phase {
                case .ready: return .ready
                case .ended: return .ended(state.failure)
                case .new, .starting:
                    state.waiters.append(waiter)
                    return nil
                }
            }
            if let answer { waiter.resume(returning: answer) }
        }
    }

    private func move(to phase: Phase, _ readiness: Readiness) {
        let waiters: [CheckedContinuation<Readiness, Never>] = self.state.withLock { state in
            // The first reason for the end counts.
            guard state.phase != .ended else { return [] }
            state.phase = phase
            if case .ended(let failure) = readiness { state.failure = failure }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: readiness) }
    }
}
