// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

/// One executor on fresh schemas that knows one workflow, named `w`.
struct Scenario<Input: Codable & Sendable, Output: Codable & Sendable>: Sendable {
    let database: TestDatabase
    let executor: HoldfastExecutor
    let workflow: WorkflowReference<Input, Output>

    var client: HoldfastClient { self.executor.client }

    func start(_ input: Input, id: WorkflowID = "w", timeout: Duration? = nil) async throws -> WorkflowHandle<Output> {
        try await self.client.start(self.workflow, input, options: .init(id: id, timeout: timeout))
    }

    func enqueue(
        _ input: Input,
        on queue: QueueName = "q",
        _ options: EnqueueOptions = .init()
    ) async throws -> WorkflowHandle<Output> {
        try await self.client.enqueue(self.workflow, input, on: queue, options: options)
    }

    /// Starts the workflow and waits for its result.
    func run(_ input: Input, id: WorkflowID = "w") async throws -> Output {
        try await self.start(input, id: id).result()
    }

    /// Runs an ended workflow again, as after a crash that lost its outcome and every checkpoint beyond `keeping`.
    func replay(_ id: WorkflowID = "w", keeping: Int = .max) async throws -> Output {
        try await self.database.loseOutcome(of: id, keeping: keeping)
        return try await self.client.retrieve(id, as: Output.self).result()
    }

    /// The recorded steps as "number name output-or-error".
    func journal(of id: WorkflowID = "w") async throws -> [String] {
        try await self.client.steps(of: id).map { "\($0.id) \($0.name) \($0.output ?? $0.error ?? "-")" }
    }
}

extension TestDatabase {
    /// Brings a workflow into the state that a reclaim leaves behind when its executor died before the outcome.
    func loseOutcome(of id: WorkflowID, keeping: Int = .max) async throws {
        try await self.query(
            "DELETE FROM {s}.operation_outputs WHERE workflow_uuid = $1 AND function_id > $2",
            .text(id.rawValue),
            .int8(Int64(keeping))
        )
        try await self.query("DELETE FROM {s}.workflow_output WHERE workflow_uuid = $1", .text(id.rawValue))
        try await self.query(
            """
            UPDATE {s}.workflow_status SET status = 'ENQUEUED', completed_at = NULL, owner_xid = NULL,
                   queue_name = coalesce(queue_name, '_dbos_internal_queue')
             WHERE workflow_uuid = $1
            """,
            .text(id.rawValue)
        )
    }

    func status(of id: WorkflowID) async throws -> String {
        let result = try await self.query(
            "SELECT status FROM {s}.workflow_status WHERE workflow_uuid = $1",
            .text(id.rawValue)
        )
        return try result.first?.string(0) ?? "none"
    }

    func until(_ id: WorkflowID, is status: WorkflowStatus) async throws {
        try await HoldfastTests.until("'\(id)' is \(status)") { try await self.status(of: id) == status.rawValue }
    }
}

/// Runs an executor that knows the workflow `w` and, if need be, others.
func withWorkflow<Input, Output, R: Sendable>(
    options: WorkflowOptions = WorkflowOptions(),
    queues: [Queue] = [],
    configure: (inout HoldfastExecutor.Configuration) -> Void = { _ in },
    register: (inout WorkflowRegistry) throws -> Void = { _ in },
    _ workflow: @escaping @Sendable (Input, WorkflowContext) async throws -> Output,
    test: @Sendable (Scenario<Input, Output>) async throws -> R
) async throws -> R {
    try await TestDatabase.with { database in
        let reference = WorkflowReference<Input, Output>("w")
        return try await withExecutor(database, queues: queues, configure: configure) { registry in
            try registry.register(reference, options: options, run: workflow)
            try register(&registry)
        } _: { executor in
            try await test(Scenario(database: database, executor: executor, workflow: reference))
        }
    }
}

/// The failure that a call throws, as text.
func failure(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async -> String {
    do { try await body() } catch { return "\(error)" }
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    return ""
}

/// The code of the `HoldfastError` that a call throws.
func code(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async throws -> HoldfastError.Code {
    let error = await #expect(throws: HoldfastError.self, sourceLocation: sourceLocation) { try await body() }
    return try #require(error, sourceLocation: sourceLocation).code
}

extension Result {
    /// The failure as text; empty for a success.
    var failure: String { if case .failure(let error) = self { "\(error)" } else { "" } }
}
