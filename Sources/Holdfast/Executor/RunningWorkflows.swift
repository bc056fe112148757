// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Synchronization

/// The executions of this process. It admits them, counts them by queue, and ends them together.
///
/// States: *open* (admits), *draining* (admits nothing), per `beginDrain`; `fence` ends what runs but stays open, because
/// the executor joins again as a new incarnation.
final class RunningWorkflows: Sendable {
    private struct State {
        var executions: [ObjectIdentifier: Execution] = [:]
        var byQueue: [String: Int] = [:]
        var byID: [WorkflowID: Int] = [:]
        /// How many of them only wait, for a time or for a child.
        var waiting = 0
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var nextTask: UInt64 = 0
        var isDraining = false
        var idleWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    /// A closure that stands in a `Mutex` by itself is wrapped once more whenever it is read, so each call would take
    /// longer than the one before (4 ns; 80 µs after 20,000 calls). In a structure it is left alone.
    private struct FreedAction {
        var call: (@Sendable () -> Void)?
    }

    private let onFreed = Mutex(FreedAction())

    /// Sets what is called when a slot becomes free.
    func whenFreed(_ action: @escaping @Sendable () -> Void) { self.onFreed.withLock { $0.call = action } }

    var isDraining: Bool { self.state.withLock { $0.isDraining } }

    var count: Int { self.state.withLock { $0.executions.count } }

    private func freed() { self.onFreed.withLock { $0.call }?() }

    func contains(_ id: WorkflowID) -> Bool { self.state.withLock { $0.byID[id] != nil } }

    /// How many run, without those that only wait, and how many belong to each queue, those included.
    func counts() -> (active: Int, byQueue: [String: Int]) {
        self.state.withLock { (max(0, $0.executions.count - $0.waiting), $0.byQueue) }
    }

    /// Waits without taking a slot of the process: parents that await queued children must not keep them from being claimed.
    func waiting<R>(_ body: () async throws -> R) async rethrows -> R {
        self.state.withLock { $0.waiting += 1 }
        self.freed()
        defer { self.state.withLock { $0.waiting -= 1 } }
        return try await body()
    }

    func owners() -> [Execution] { self.state.withLock { Array($0.executions.values) } }

    /// Admits an execution and runs it in a task of its own. Returns `false` when draining; then nothing runs.
    ///
    /// The task is unstructured so that one workflow can be cancelled without the others; it is kept in `tasks` until it
    /// ends, and `untilIdle` awaits them all.
    func run(_ execution: Execution, _ body: @escaping @Sendable () async -> Void) -> Bool {
        self.state.withLock { state in
            guard !state.isDraining else { return false }
            state.executions[ObjectIdentifier(execution)] = execution
            if let queue = execution.queue { state.byQueue[queue, default: 0] += 1 }
            state.byID[execution.workflowID, default: 0] += 1
            execution.attach(self.track(body, &state))
            return true
        }
    }

    /// Runs something that takes no slot but must end before the process does.
    func runUncounted(_ body: @escaping @Sendable () async -> Void) {
        self.state.withLock { state in _ = self.track(body, &state) }
    }

    private func track(_ body: @escaping @Sendable () async -> Void, _ state: inout State) -> Task<Void, Never> {
        state.nextTask += 1
        let id = state.nextTask
        let task = Task {
            await body()
            self.ended(id)
        }
        state.tasks[id] = task
        return task
    }

    /// Gives up the execution's slot; a second call does nothing. Its task may go on, for instance to write the outcome.
    func release(_ execution: Execution) {
        let isFreed = self.state.withLock { state in
            guard state.executions.removeValue(forKey: ObjectIdentifier(execution)) != nil else { return false }
            if let count = state.byID[execution.workflowID] {
                state.byID[execution.workflowID] = count > 1 ? count - 1 : nil
            }
            if let queue = execution.queue, let count = state.byQueue[queue] {
                state.byQueue[queue] = count > 1 ? count - 1 : nil
            }
            return true
        }
        if isFreed { self.freed() }
    }

    /// Admits nothing more and lets each execution reach the end of its step.
    func beginDrain(_ reason: InterruptionReason) {
        let executions = self.state.withLock { state in
            state.isDraining = true
            return Array(state.executions.values)
        }
        for execution in executions { execution.drain(reason) }
    }

    /// Ends every execution at once.
    func closeAll(_ reason: InterruptionReason) {
        for execution in self.owners() {
            execution.close(reason)
            self.release(execution)
        }
    }

    /// Returns when no task is left, or when the caller is cancelled.
    func untilIdle() async {
        while !Task.isCancelled {
            let tasks = self.state.withLock { Array($0.tasks.values) }
            if tasks.isEmpty { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                    let resumesNow = self.state.withLock { state in
                        if state.tasks.isEmpty || Task.isCancelled { return true }
                        state.idleWaiters.append(waiter)
                        return false
                    }
                    if resumesNow { waiter.resume() }
                }
            } onCancel: {
                self.resumeIdleWaiters()
            }
        }
    }

    private func ended(_ id: UInt64) {
        let isIdle = self.state.withLock { state in
            state.tasks[id] = nil
            return state.tasks.isEmpty
        }
        if isIdle { self.resumeIdleWaiters() }
    }

    private func resumeIdleWaiters() {
        let waiters = self.state.withLock { state in
            defer { state.idleWaiters = [] }
            return state.idleWaiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
