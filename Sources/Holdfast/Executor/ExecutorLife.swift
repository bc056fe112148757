// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// The life of one executor's `run()`.
///
/// States: *new* → *starting* → *ready* → *stopping* → *ended*, the middle ones may be left out. `run()` may be called once.
/// Whoever waits to be told that it is ready is also told when it ends before.
final class ExecutorLife: Sendable {
    /// What became of the start.
    enum Readiness: Sendable {
        case ready
        /// It ended before, perhaps because of an error.
        case ended((any Error)?)
    }

    private enum Phase { case new, starting, ready, stopping, ended }

    private struct State {
        var phase: Phase = .new
        var isReplaced = false
        var isKilled = false
        var isDrainRequested = false
        var failure: (any Error)?
        var waiters: [CheckedContinuation<Readiness, Never>] = []
        var onChange: (@Sendable () -> Void)?
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

    /// It was told to stop, or must.
    func stopping() { self.move(to: .stopping) }

    func end(_ failure: (any Error)? = nil) { self.move(to: .ended, .ended(failure)) }

    /// Sets what is called when the phase or a drain changes what is to be said of this executor.
    func whenChanged(_ action: @escaping @Sendable () -> Void) { self.state.withLock { $0.onChange = action } }

    var phase: HoldfastExecutor.Health.Phase {
        self.state.withLock { state in
            switch state.phase {
            case .new, .starting: .starting
            case .ready: state.isDrainRequested ? .drained : .serving
            case .stopping: .stopping
            case .ended: .ended
            }
        }
    }

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
        let onChange = self.state.withLock { state in
            state.isDrainRequested = true
            return state.onChange
        }
        self.drain.wake()
        onChange?()
    }

    var isReplaced: Bool { self.state.withLock { $0.isReplaced } }

    var isKilled: Bool { self.state.withLock { $0.isKilled } }

    /// Waits until the executor is ready or has ended.
    func untilReady() async -> Readiness {
        await withCheckedContinuation { waiter in
            let answer: Readiness? = self.state.withLock { state in
                switch state.phase {
                case .ready, .stopping: return .ready
                case .ended: return .ended(state.failure)
                case .new, .starting:
                    state.waiters.append(waiter)
                    return nil
                }
            }
            if let answer { waiter.resume(returning: answer) }
        }
    }

    /// - Parameter readiness: What those who wait are told; `nil`: they go on waiting.
    private func move(to phase: Phase, _ readiness: Readiness? = nil) {
        let (waiters, onChange) = self.state.withLock { state in
            var told: [CheckedContinuation<Readiness, Never>] = []
            // The first reason for the end counts.
            guard state.phase != .ended else { return (told, nil as (@Sendable () -> Void)?) }
            state.phase = phase
            if case .ended(let failure) = readiness { state.failure = failure }
            if readiness != nil { swap(&told, &state.waiters) }
            return (told, state.onChange)
        }
        for waiter in waiters { readiness.map { waiter.resume(returning: $0) } }
        onChange?()
    }
}
