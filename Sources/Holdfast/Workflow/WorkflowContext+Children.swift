// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// A child workflow as its parent sees it. Its result is awaited with ``WorkflowContext/result(of:)``, which records it.
public struct ChildHandle<Output: Codable & Sendable>: Sendable {
    /// The child's id.
    public let id: WorkflowID
}

/// How a child workflow is started.
public struct ChildOptions: Sendable {
    /// Its id. Default: the parent's id and the number of the call, joined by a dash.
    public var id: WorkflowID?
    /// Its priority on the queue; 0 is the highest. Needs a queue.
    public var priority = 0
    /// When it may begin at the earliest, from now. Needs a queue.
    public var delay: Duration?
    /// How long it may take from start to end. Default: it inherits its parent's deadline.
    public var timeout: Duration?

    /// Makes the defaults.
    public init(id: WorkflowID? = nil, priority: Int = 0, delay: Duration? = nil, timeout: Duration? = nil) {
        self.id = id
        self.priority = priority
        self.delay = delay
        self.timeout = timeout
    }
}

extension WorkflowContext {
    /// Starts a child workflow: on a queue, or here and now.
    ///
    /// The child and the parent's record of it are written together, and only while the parent is still its executor's.
    public func start<Child: Workflow>(
        _ child: Child.Type,
        _ input: Child.Input,
        on queue: QueueName? = nil,
        options: ChildOptions = ChildOptions()
    ) async throws -> ChildHandle<Child.Output> {
        try await self.start(Child.reference, input, on: queue, options: options)
    }

    /// Starts a child workflow by its name.
    public func start<Input, Output>(
        _ child: WorkflowReference<Input, Output>,
        _ input: Input,
        on queue: QueueName? = nil,
        options: ChildOptions = ChildOptions()
    ) async throws -> ChildHandle<Output> {
        let functionID: Int32
        switch try self.next(child.name.rawValue) {
        case .replay(let step):
            if let error = step.error { throw RecordedError(parsing: error) }
            guard let id = step.childWorkflowID else {
                throw HoldfastError(
                    .unexpectedStep,
                    "workflow '\(self.id)', step \(step.functionID): a step named '\(step.name)' is recorded here, not the "
                        + "start of a child workflow"
                )
            }
            return ChildHandle(id: WorkflowID(id))
        case .execute(let id): functionID = id
        }
        let id = options.id ?? WorkflowID("\(self.id)-\(functionID)")
        let host = self.execution.host
        let now = self.execution.now
        var row = try host.row(
            id: id,
            name: child.name,
            input: input,
            queue: queue,
            timeout: options.timeout,
            delay: options.delay,
            priority: options.priority
        )
        if options.timeout == nil { row.deadline = self.execution.deadline }
        row.parent = StartRow.Parent(
            workflowID: self.id.rawValue,
            token: self.execution.token,
            functionID: functionID,
            startedAt: now,
            completedAt: self.execution.now
        )
        let stored: StoredWorkflow?
        do {
            stored = try await host.writer.start(row)
        } catch let error as ExecutionMachine.Interruption {
            self.execution.close(error.reason)
            throw self.execution.interrupted(error.reason)
        } catch let error as PostgresError {
            throw HoldfastError(error, doing: "storing workflow '\(id)' (\(child.name)), a child of '\(self.id)'")
        }
        guard let stored else {
            self.execution.close(.lostOwnership)
            throw self.execution.interrupted(.lostOwnership)
        }
        // It is stored, so it runs, whatever becomes of this call.
        host.started(row, stored: stored)
        try StoredWorkflow.check(stored, against: row)
        if !stored.isCheckpointed {
            try await self.checkRecordedChild(functionID, id: id)
        }
        return ChildHandle(id: id)
    }

    /// The record was there already: by our own repeated call, or by another operation.
    private func checkRecordedChild(_ functionID: Int32, id: WorkflowID) async throws {
        let recorded = try await self.execution.host.retrying("reading the journal of '\(self.id)'") {
            database throws(PostgresError) in
            try await database.journal(of: self.id.rawValue)
        }.first { $0.functionID == functionID }
        guard recorded?.childWorkflowID == id.rawValue else {
            throw HoldfastError(
                .stepNondeterminism,
                "workflow '\(self.id)', step \(functionID): another operation is recorded here than the start of '\(id)'"
            )
        }
    }

    /// Waits for a child's result and records it.
    ///
    /// - Throws: ``WorkflowFailure`` when the child failed, was cancelled or was given up.
    public func result<Output>(of child: ChildHandle<Output>) async throws -> Output {
        let name = "DBOS.getResult"
        switch try self.next(name) {
        case .replay(let step):
            if let error = step.error { throw WorkflowFailure(recorded: error, of: child.id) }
            return try self.replayed(step, as: Output.self)
        case .execute(let functionID):
            let startedAt = self.execution.now
            let settled: SettledWorkflow
            do {
                let host = self.execution.host
                settled = try await host.running.waiting {
                    try await host.outcomes.outcome(
                        of: child.id.rawValue,
                        runsHere: host.running.contains(child.id)
                    )
                }
            } catch {
                throw self.execution.mapped(error)
            }
            let failure = settled.failure
            let output = failure == nil ? settled.output ?? "null" : nil
            let error = failure.map { PortableErrorPayload($0).text(limit: self.execution.host.limits.maxBytes) }
            try await self.record(
                functionID,
                name: name,
                output: output,
                error: error,
                child: child.id,
                startedAt: startedAt
            )
            // What replay will make of the record, not what was received.
            if let error { throw WorkflowFailure(recorded: error, of: child.id) }
            let step = RecordedStep(functionID: functionID, name: name, output: output)
            return try self.replayed(step, as: Output.self)
        }
    }

    /// Starts a child workflow here and waits for its result.
    public func run<Child: Workflow>(
        _ child: Child.Type,
        _ input: Child.Input,
        options: ChildOptions = ChildOptions()
    ) async throws -> Child.Output {
        let handle = try await self.start(child, input, options: options)
        return try await self.result(of: handle)
    }
}

extension SettledWorkflow {
    /// Why there is no result, if there is none.
    var failure: WorkflowFailure? {
        let id = WorkflowID(self.workflowID)
        return switch self.status {
        case .success: nil
        case .error: .failed(id, RecordedError(parsing: self.error ?? ""))
        case .cancelled: .cancelled(id)
        default: .recoveryAttemptsExceeded(id)
        }
    }
}

extension WorkflowFailure {
    /// The failure a recorded `DBOS.getResult` stands for.
    init(recorded text: String, of id: WorkflowID) {
        let error = RecordedError(parsing: text)
        // A child that fails because its own child was cancelled has failed: the record names who was cancelled.
        let isItsOwn = error.data == PortableJSON.text(of: PortableErrorPayload.reference(to: id))
        switch error.name {
        case "AwaitedWorkflowCancelled" where isItsOwn: self = .cancelled(id)
        case "AwaitedWorkflowMaxRecoveryAttemptsExceeded" where isItsOwn: self = .recoveryAttemptsExceeded(id)
        default: self = .failed(id, error)
        }
    }
}
