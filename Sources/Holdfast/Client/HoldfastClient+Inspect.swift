// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// A queue with what waits and runs on it.
public struct QueueSnapshot: Sendable, Codable {
    /// Its name.
    public var name: QueueName
    /// Whether it is registered; work may wait on queues that are not.
    public var isRegistered: Bool
    /// The application it belongs to.
    public var applicationName: String?
    /// How many of its workflows run at once in the whole fleet.
    public var concurrency: Int?
    /// How many of its workflows one executor runs at once.
    public var workerConcurrency: Int?
    /// How many may start within a period.
    public var rateLimit: Int?
    /// That period, in seconds.
    public var ratePeriodSeconds: Double?
    /// Waiting workflows.
    public var enqueued: Int
    /// Running workflows.
    public var pending: Int
    /// Workflows that wait for their time.
    public var delayed: Int
    /// When the oldest waiting workflow was enqueued, in milliseconds since 1970.
    public var oldestEnqueuedAt: Int64?
}

extension HoldfastClient {
    /// The workflows that a filter lets through; those of the client's application unless ids are given.
    public func workflows(_ filter: WorkflowFilter = WorkflowFilter()) async throws -> [WorkflowSnapshot] {
        guard filter.limit >= 0, filter.offset >= 0 else {
            throw HoldfastError(.invalidArgument, "limit and offset must not be negative")
        }
        let application = self.core.applicationName
        return try await self.read("listing workflows") { database throws(PostgresError) in
            try await database.workflows(filter, applicationName: application)
        }
    }

    /// One workflow with its payloads.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id.
    public func workflow(_ id: WorkflowID) async throws -> WorkflowSnapshot {
        var filter = WorkflowFilter()
        filter.ids = [id]
        filter.loadsPayloads = true
        guard let workflow = try await self.workflows(filter).first else {
            throw HoldfastError(.nonExistentWorkflow, "no workflow has the id '\(id)'")
        }
        return workflow
    }

    /// The recorded steps of a workflow, in order.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id.
    public func steps(of id: WorkflowID) async throws -> [StepSnapshot] {
        let steps = try await self.read("reading the steps of '\(id)'") { database throws(PostgresError) in
            try await database.steps(of: id.rawValue)
        }
        if steps.isEmpty { _ = try await self.workflow(id) }
        return steps
    }

    /// The takeovers of a workflow, in order.
    public func takeovers(of id: WorkflowID) async throws -> [Takeover] {
        try await self.read("reading the takeovers of '\(id)'") { database throws(PostgresError) in
            try await database.takeovers(of: id.rawValue)
        }
    }

    /// The queues, registered or with work on them.
    public func queues() async throws -> [QueueSnapshot] {
        let application = self.core.applicationName
        let (rows, depths) = try await self.read("listing queues") { database throws(PostgresError) in
            (try await database.queues(applicationName: nil), try await database.queueDepths())
        }
        // All rows are read: a queue of another application must not be taken for one that nobody registered.
        var queues =
            rows
            .filter { application == nil || $0.applicationName == nil || $0.applicationName == application }
            .map { row in QueueSnapshot(row: row, depth: depths[row.name]) }
        let known = Set(rows.map(\.name))
        for (name, depth) in depths where !known.contains(name) {
            queues.append(QueueSnapshot(unregistered: name, depth: depth))
        }
        return queues.sorted { $0.name < $1.name }
    }

    /// The executors of the client's application: the live ones, those that ended within the hour, and those that ended and
    /// still own work.
    public func fleet() async throws -> [FleetMember] {
        let application = self.core.applicationName
        return try await self.read("reading the fleet") { database throws(PostgresError) in
            try await database.fleet(applicationName: application)
        }
    }
}

extension QueueSnapshot {
    init(row: QueueRow, depth: QueueDepth?) {
        self.init(
            name: QueueName(row.name),
            isRegistered: true,
            applicationName: row.applicationName,
            concurrency: row.concurrency,
            workerConcurrency: row.workerConcurrency,
            rateLimit: row.rateLimit,
            ratePeriodSeconds: row.ratePeriodSeconds,
            enqueued: depth?.enqueued ?? 0,
            pending: depth?.pending ?? 0,
            delayed: depth?.delayed ?? 0,
            oldestEnqueuedAt: depth?.oldestEnqueuedAt
        )
    }

    init(unregistered name: String, depth: QueueDepth) {
        self.init(
            name: QueueName(name),
            isRegistered: false,
            enqueued: depth.enqueued,
            pending: depth.pending,
            delayed: depth.delayed,
            oldestEnqueuedAt: depth.oldestEnqueuedAt
        )
    }
}
