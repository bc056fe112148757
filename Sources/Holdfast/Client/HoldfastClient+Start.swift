// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging

extension HoldfastClient {
    /// Starts a workflow: in this process when its executor runs and knows the workflow, otherwise as soon as an executor
    /// that knows it is free.
    ///
    /// Idempotent by id: however often and wherever the same id is started, one workflow runs.
    ///
    /// Through an executor's client it waits until the database takes the workflow, however long that is away, and also when the
    /// calling task is cancelled: what was handed over may be stored at any moment. Callers that must answer in time refuse work
    /// of themselves while ``HoldfastExecutor/health`` is not ready.
    ///
    /// - Throws: ``HoldfastError`` when the input cannot be stored, the id belongs to another workflow, or the database refuses.
    public func start<W: Workflow>(
        _ workflow: W.Type,
        _ input: W.Input,
        options: StartOptions = StartOptions()
    ) async throws -> WorkflowHandle<W.Output> {
        try await self.start(W.reference, input, options: options)
    }

    /// Starts a workflow by its name.
    public func start<Input, Output>(
        _ workflow: WorkflowReference<Input, Output>,
        _ input: Input,
        options: StartOptions = StartOptions()
    ) async throws -> WorkflowHandle<Output> {
        let id = options.id ?? Self.newID()
        let host = self.core.attachedHost
        let row: StartRow
        if let host {
            row = try host.row(
                id: id,
                name: workflow.name,
                input: input,
                queue: nil,
                timeout: options.timeout,
                delay: nil,
                priority: 0
            )
        } else {
            row = try self.row(
                id: id,
                name: workflow.name,
                input: input,
                timeout: options.timeout,
                delay: nil,
                priority: 0,
                queue: nil
            )
        }
        let stored = try await self.store(row, reuse: options.reuse)
        self.announce(row, stored, host)
        return WorkflowHandle(id: id, core: self.core)
    }

    /// Puts a workflow on a queue. It waits there until an executor with a free slot claims it.
    ///
    /// - Throws: ``HoldfastError`` as `start` does, and when the deduplication key is held by another workflow.
    public func enqueue<W: Workflow>(
        _ workflow: W.Type,
        _ input: W.Input,
        on queue: QueueName,
        options: EnqueueOptions = EnqueueOptions()
    ) async throws -> WorkflowHandle<W.Output> {
        try await self.enqueue(W.reference, input, on: queue, options: options)
    }

    /// Puts a workflow on a queue by its name.
    public func enqueue<Input, Output>(
        _ workflow: WorkflowReference<Input, Output>,
        _ input: Input,
        on queue: QueueName,
        options: EnqueueOptions = EnqueueOptions()
    ) async throws -> WorkflowHandle<Output> {
        let host = self.core.attachedHost
        var row: StartRow
        if let host {
            row = try host.row(
                id: options.id ?? Self.newID(),
                name: workflow.name,
                input: input,
                queue: queue,
                timeout: options.timeout,
                delay: options.delay,
                priority: options.priority
            )
        } else {
            row = try self.row(
                id: options.id ?? Self.newID(),
                name: workflow.name,
                input: input,
                timeout: options.timeout,
                delay: options.delay,
                priority: options.priority,
                queue: queue
            )
        }
        if let version = options.applicationVersion {
            guard !version.allSatisfy(\.isWhitespace) else {
                throw HoldfastError(
                    .invalidArgument,
                    "workflow '\(row.workflowID)': applicationVersion is blank; leave it out or name it"
                )
            }
            row.applicationVersion = version
        }
        if let key = options.deduplication?.key {
            guard !key.allSatisfy(\.isWhitespace) else {
                throw HoldfastError(.invalidArgument, "workflow '\(row.workflowID)': the deduplication key is blank")
            }
            row.deduplicationID = key
        }
        while true {
            do {
                let stored = try await self.store(row, reuse: options.reuse)
                self.announce(row, stored, host)
                return WorkflowHandle(id: WorkflowID(row.workflowID), core: self.core)
            } catch let error as HoldfastError where error.code == .queueDeduplicated {
                guard case .returningExisting(let key) = options.deduplication else { throw error }
                let holder = try await self.read("looking for the holder of '\(key)'") {
                    database throws(PostgresError) in
                    try await database.deduplicationHolder(queue: queue.rawValue, deduplicationID: key)
                }
                // No holder: it ended between the two statements, so the key is free again.
                if let holder { return WorkflowHandle(id: WorkflowID(holder), core: self.core) }
            }
        }
    }

    /// The handle of an existing workflow.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id.
    public func retrieve<Output: Codable & Sendable>(
        _ id: WorkflowID,
        as output: Output.Type = Output.self
    ) async throws -> WorkflowHandle<Output> {
        _ = try await self.workflow(id)
        return WorkflowHandle(id: id, core: self.core)
    }

    static func newID() -> WorkflowID { WorkflowID(TimeOrderedID.make(milliseconds: epochMillisecondsNow())) }

    private func row(
        id: WorkflowID,
        name: WorkflowName,
        input: some Encodable,
        timeout: Duration?,
        delay: Duration?,
        priority: Int,
        queue: QueueName?
    ) throws -> StartRow {
        var row = try StartRow(
            id: id,
            name: name,
            input: input,
            timeout: timeout,
            delay: delay,
            priority: priority,
            queue: queue,
            limits: self.core.limits,
            clock: self.core.clock
        )
        row.applicationName = self.core.applicationName
        return row
    }

    private func store(_ row: StartRow, reuse: IDReuse) async throws -> StoredWorkflow {
        let stored: StoredWorkflow?
        do {
            stored = try await self.core.starter.start(row)
        } catch let error as PostgresError {
            if error.sqlState == "23505", row.deduplicationID != nil {
                throw HoldfastError(
                    .queueDeduplicated,
                    "workflow '\(row.workflowID)': another active workflow on queue '\(row.queue ?? "")' has the "
                        + "deduplication key '\(row.deduplicationID ?? "")'",
                    underlying: error
                )
            }
            throw HoldfastError(error, doing: "storing workflow '\(row.workflowID)' (\(row.name))")
        }
        guard let stored else { preconditionFailure("a start without a parent is always stored") }
        if reuse == .reject, !stored.isOurs {
            throw HoldfastError(
                .workflowIDInUse,
                "id '\(row.workflowID)' belongs to a workflow '\(stored.name ?? "")' that is \(stored.status)"
            )
        }
        try StoredWorkflow.check(stored, against: row)
        if let queue = row.queue, queue != stored.queue, row.queue != SystemDatabase.internalQueue {
            self.core.logger.debug(
                "the workflow exists already; it keeps its queue",
                metadata: ["workflow.id": "\(row.workflowID)", "queue": "\(stored.queue ?? "none")"]
            )
        }
        return stored
    }

    private func announce(_ row: StartRow, _ stored: StoredWorkflow, _ host: ExecutionHost?) {
        if let host {
            host.started(row, stored: stored)
        } else if stored.isOurs, row.status == .enqueued, let queue = row.queue {
            self.core.notifier.notify([queue])
        }
    }

    /// Runs a statement for a caller, with an error that says what for.
    func read<R: Sendable>(
        _ what: String,
        _ operation: (SystemDatabase) async throws(PostgresError) -> R
    ) async throws -> R {
        do throws(PostgresError) {
            return try await operation(self.core.database)
        } catch {
            throw HoldfastError(error, doing: what)
        }
    }
}
