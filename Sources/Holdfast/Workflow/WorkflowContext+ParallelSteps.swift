// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Synchronization

/// A step that runs beside the workflow. Its number was taken when it was started.
public final class StepHandle<Result: Codable & Sendable>: Sendable {
    /// Its number.
    public let id: StepID
    let task: Task<Result, any Error>
    /// Called when somebody asks for the result.
    private let onAsked: @Sendable () -> Void

    init(id: StepID, task: Task<Result, any Error>, onAsked: @escaping @Sendable () -> Void = {}) {
        self.id = id
        self.task = task
        self.onAsked = onAsked
    }

    /// Its result, or its error, once it is recorded.
    public var value: Result {
        get async throws {
            self.onAsked()
            return try await self.task.value
        }
    }
}

extension WorkflowContext {
    /// Starts a step that runs while the workflow goes on. The number is taken now, so the order of the *calls* decides,
    /// not the order in which the steps end.
    ///
    /// Steps that are still running when the workflow returns are cancelled.
    public func startStep<Result: Codable & Sendable>(
        _ name: StepName,
        retry: StepRetry = .never,
        _ body: @escaping @Sendable (StepContext) async throws -> Result
    ) throws -> StepHandle<Result> {
        try Self.validate(name, retry)
        switch try self.next(name.rawValue, isParallel: true) {
        case .replay(let step):
            let result = Swift.Result { try self.replayed(step, as: Result.self) }
            return StepHandle(id: StepID(step.functionID), task: Task { try result.get() })
        case .execute(let functionID) where self.execution.check != nil:
            // The check goes on with what is recorded of the steps beside it, and ends where this one is waited for.
            let execution = self.execution
            return StepHandle(
                id: StepID(functionID),
                task: Task { throw execution.interrupted(.checked) },
                onAsked: { execution.close(.checked) }
            )
        case .execute(let functionID):
            let run = StepRun(execution: self.execution, functionID: functionID, name: name, retry: retry)
            // Unstructured, because it outlives this call; the execution cancels and awaits it when the workflow ends.
            let task = Task { try await run.run(body) }
            self.execution.attachBranch(
                Task {
                    await withTaskCancellationHandler {
                        _ = await task.result
                    } onCancel: {
                        task.cancel()
                    }
                }
            )
            return StepHandle(id: StepID(functionID), task: task)
        }
    }

    /// Runs one step for each item, at most `maxConcurrency` at a time, and returns the results in the items' order.
    ///
    /// The collection must have an order of its own: sets and dictionaries, whose order changes from one process to the next,
    /// do not compile here.
    ///
    /// - Throws: The error of the first item in order that failed, after all that were started have ended.
    public func map<Items: BidirectionalCollection, Result: Codable & Sendable>(
        _ items: Items,
        step name: StepName,
        maxConcurrency: Int = 16,
        retry: StepRetry = .never,
        _ body: @escaping @Sendable (Items.Element, StepContext) async throws -> Result
    ) async throws -> [Result] where Items.Element: Sendable {
        try Self.validate(name, retry)
        guard maxConcurrency >= 1 else {
            throw HoldfastError(
                .invalidArgument,
                "map '\(name)': maxConcurrency must be 1 or more, it is \(maxConcurrency)"
            )
        }
        let execution = self.execution
        var results = [Swift.Result<Result, any Error>?](repeating: nil, count: items.count)
        var open: [(index: Int, item: Items.Element, run: StepRun)] = []
        for (index, item) in items.enumerated() {
            switch try self.next(name.rawValue, isParallel: true) {
            case .replay(let step):
                results[index] = Swift.Result { try self.replayed(step, as: Result.self) }
            case .execute(let functionID):
                open.append(
                    (index, item, StepRun(execution: execution, functionID: functionID, name: name, retry: retry))
                )
            }
        }
        if !open.isEmpty { try self.endCheckIfChecking() }
        await withTaskGroup(of: (Int, Swift.Result<Result, any Error>).self) { group in
            var waiting = open.makeIterator()
            func startNext() {
                guard let (index, item, run) = waiting.next() else { return }
                group.addTask {
                    do { return (index, .success(try await run.run { step in try await body(item, step) })) } catch {
                        return (index, .failure(error))
                    }
                }
            }
            for _ in 0..<maxConcurrency { startNext() }
            while let (index, result) = await group.next() {
                results[index] = result
                startNext()
            }
        }
        return try results.map { result in
            guard let result else { throw CancellationError() }
            return try result.get()
        }
    }

    /// Waits for the first of several steps to end; which one it was is recorded, so that a replay takes the same way.
    public func firstToFinish<Result: Codable & Sendable>(
        _ handles: [StepHandle<Result>]
    ) async throws -> StepHandle<Result> {
        guard !handles.isEmpty else {
            throw HoldfastError(.invalidArgument, "firstToFinish needs at least one step")
        }
        let name = "DBOS.select"
        switch try self.next(name) {
        case .replay(let step):
            let index = try self.replayed(step, as: Int.self)
            guard handles.indices.contains(index) else {
                throw HoldfastError(
                    .unexpectedStep,
                    "workflow '\(self.id)', step \(step.functionID): number \(index) of the steps was first, but now "
                        + "there are \(handles.count)"
                )
            }
            return handles[index]
        case .execute(let functionID):
            let startedAt = self.execution.now
            let first = await withTaskGroup(of: Int?.self) { group in
                for (index, handle) in handles.enumerated() {
                    group.addTask { await handle.ended() ? index : nil }
                }
                defer { group.cancelAll() }
                return await group.next() ?? nil
            }
            try self.execution.admit()
            guard let first else { throw self.execution.mapped(CancellationError()) }
            try await self.record(functionID, name: name, output: "\(first)", startedAt: startedAt)
            return handles[first]
        }
    }

    /// Records an operation of our own.
    func record(
        _ functionID: Int32,
        name: String,
        output: String? = nil,
        error: String? = nil,
        child: WorkflowID? = nil,
        startedAt: Int64,
        completedAt: Int64? = nil
    ) async throws {
        try await self.execution.record(
            CheckpointRow(
                workflowID: self.id.rawValue,
                token: self.execution.token,
                functionID: functionID,
                name: name,
                output: output,
                error: error,
                childWorkflowID: child?.rawValue,
                serialization: output == nil && error == nil ? nil : "portable_json",
                startedAt: startedAt,
                completedAt: completedAt ?? self.execution.now
            )
        )
    }
}

extension StepHandle {
    /// Waits for the end of the step; `false` when the waiting task was cancelled first.
    ///
    /// Awaiting another task's value does not end with one's own cancellation, so the wait has a way out of its own.
    fileprivate func ended() async -> Bool {
        let gate = Gate()
        let watcher = Task {
            _ = await self.task.result
            gate.open(true)
        }
        defer { watcher.cancel() }
        return await withTaskCancellationHandler {
            await gate.wait()
        } onCancel: {
            gate.open(false)
        }
    }
}

/// Opens once, with the first value given.
private final class Gate: Sendable {
    private let state = Mutex<(value: Bool?, waiter: CheckedContinuation<Bool, Never>?)>((nil, nil))

    func open(_ value: Bool) {
        let waiter = self.state.withLock { state in
            guard state.value == nil else { return nil as CheckedContinuation<Bool, Never>? }
            state.value = value
            return state.waiter
        }
        waiter?.resume(returning: value)
    }

    func wait() async -> Bool {
        await withCheckedContinuation { waiter in
            let value = self.state.withLock { state in
                if state.value == nil { state.waiter = waiter }
                return state.value
            }
            if let value { waiter.resume(returning: value) }
        }
    }
}
