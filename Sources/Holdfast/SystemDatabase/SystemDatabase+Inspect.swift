// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// Builds a `WHERE` clause with numbered parameters.
struct QueryFilter {
    private(set) var bindings: [PostgresBinding] = []
    private var conditions: [String] = []

    /// Adds a condition; `?` in it stands for the value.
    mutating func add(_ condition: String, _ value: PostgresBinding) {
        self.bindings.append(value)
        self.conditions.append(condition.replacingPlaceholder(with: "$\(self.bindings.count)"))
    }

    mutating func add(_ column: String, isOneOf values: [String]) {
        if !values.isEmpty { self.add("\(column) = ANY(?::text[])", .textArray(values)) }
    }

    var clause: String { self.conditions.isEmpty ? "" : "WHERE " + self.conditions.joined(separator: " AND ") }
}

extension String {
    fileprivate func replacingPlaceholder(with text: String) -> String {
        guard let index = self.firstIndex(of: "?") else { return self }
        return self.replacingCharacters(in: index...index, with: text)
    }

    fileprivate func replacingCharacters(in range: ClosedRange<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[self.index(after: range.upperBound)...])
    }
}

extension SystemDatabase {
    func workflows(_ filter: WorkflowFilter, applicationName: String?) async throws(PostgresError) -> [WorkflowSnapshot]
    {
        var conditions = QueryFilter()
        conditions.add("s.workflow_uuid", isOneOf: filter.ids.map(\.rawValue))
        conditions.add("s.status", isOneOf: filter.statuses.map(\.rawValue))
        conditions.add("s.name", isOneOf: filter.names.map(\.rawValue))
        conditions.add("s.queue_name", isOneOf: filter.queues.map(\.rawValue))
        conditions.add("s.executor_id", isOneOf: filter.executors.map(\.rawValue))
        conditions.add("s.application_version", isOneOf: filter.versions)
        if let parent = filter.parent { conditions.add("s.parent_workflow_id = ?", .text(parent.rawValue)) }
        if let prefix = filter.idPrefix { conditions.add("starts_with(s.workflow_uuid, ?)", .text(prefix)) }
        if let after = filter.createdAfter { conditions.add("s.created_at >= ?", .int8(after.epochMilliseconds)) }
        if let before = filter.createdBefore { conditions.add("s.created_at <= ?", .int8(before.epochMilliseconds)) }
        // A look-up by id means that workflow, whoever owns it.
        if let applicationName, filter.ids.isEmpty {
            conditions.add("(s.application_name = ? OR s.application_name IS NULL)", .text(applicationName))
        }
        let order = filter.newestFirst ? "DESC" : "ASC"
        var bindings = conditions.bindings
        bindings.append(.int8(Int64(filter.limit)))
        bindings.append(.int8(Int64(filter.offset)))
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT s.workflow_uuid, s.status, s.name, s.queue_name, s.executor_id, s.application_name,
                       s.application_version, s.created_at, s.updated_at, s.started_at_epoch_ms, s.completed_at,
                       s.recovery_attempts, s.priority, s.parent_workflow_id, s.forked_from, s.deduplication_id,
                       s.workflow_timeout_ms, s.workflow_deadline_epoch_ms, s.delay_until_epoch_ms, s.serialization,
                       coalesce(i.inputs, s.inputs), coalesce(o.output, s.output), coalesce(o.error, s.error)
                  FROM \(self.names.dbos).workflow_status s
                  LEFT JOIN \(self.names.dbos).workflow_input i
                    ON \(filter.loadsPayloads ? "TRUE" : "FALSE") AND i.workflow_uuid = s.workflow_uuid
                  LEFT JOIN \(self.names.dbos).workflow_output o
                    ON \(filter.loadsPayloads ? "TRUE" : "FALSE") AND o.workflow_uuid = s.workflow_uuid
                 \(conditions.clause)
                 ORDER BY s.created_at \(order), s.workflow_uuid \(order)
                 LIMIT $\(bindings.count - 1) OFFSET $\(bindings.count)
                """,
                bindings
            )
        )
        var workflows: [WorkflowSnapshot] = []
        workflows.reserveCapacity(result.count)
        for row in result { workflows.append(try Self.snapshot(row)) }
        return workflows
    }

    private static func snapshot(_ row: PostgresRow) throws(PostgresError) -> WorkflowSnapshot {
        WorkflowSnapshot(
            id: WorkflowID(try row.string(0)),
            status: WorkflowStatus(rawValue: try row.optionalString(1) ?? ""),
            name: WorkflowName(try row.optionalString(2) ?? ""),
            queue: try row.optionalString(3).map(QueueName.init),
            executorID: try row.optionalString(4).map(ExecutorID.init),
            applicationName: try row.optionalString(5),
            applicationVersion: try row.optionalString(6),
            createdAt: .init(epochMilliseconds: try row.int(7)),
            updatedAt: .init(epochMilliseconds: try row.int(8)),
            startedAt: try row.optionalInt(9).map { .init(epochMilliseconds: $0) },
            completedAt: try row.optionalInt(10).map { .init(epochMilliseconds: $0) },
            recoveryAttempts: try row.optionalInt(11) ?? 0,
            priority: try row.int(12),
            parentID: try row.optionalString(13).map(WorkflowID.init),
            forkedFrom: try row.optionalString(14).map(WorkflowID.init),
            deduplicationID: try row.optionalString(15),
            timeout: try row.optionalInt(16).map { .milliseconds($0) },
            deadline: try row.optionalInt(17).map { .init(epochMilliseconds: $0) },
            delayedUntil: try row.optionalInt(18).map { .init(epochMilliseconds: $0) },
            serialization: try row.optionalString(19),
            input: try row.optionalString(20),
            output: try row.optionalString(21),
            error: try row.optionalString(22)
        )
    }

    func steps(of workflowID: String) async throws(PostgresError) -> [StepSnapshot] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT function_id, function_name, output, error, child_workflow_id, started_at_epoch_ms,
                       completed_at_epoch_ms, serialization
                  FROM \(self.names.dbos).operation_outputs WHERE workflow_uuid = $1 ORDER BY function_id
                """,
                [.text(workflowID)]
            )
        )
        var steps: [StepSnapshot] = []
        for row in result {
            steps.append(
                StepSnapshot(
                    id: StepID(Int32(clamping: try row.int(0))),
                    name: try row.string(1),
                    output: try row.optionalString(2),
                    error: try row.optionalString(3),
                    childID: try row.optionalString(4).map(WorkflowID.init),
                    startedAt: try row.optionalInt(5).map { .init(epochMilliseconds: $0) },
                    completedAt: try row.optionalInt(6).map { .init(epochMilliseconds: $0) },
                    serialization: try row.optionalString(7)
                )
            )
        }
        return steps
    }

    func takeovers(of workflowID: String) async throws(PostgresError) -> [Takeover] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT from_executor_id, by_executor_id, application_version, reason, strikes, decision,
                       (extract(epoch FROM at) * 1000)::int8
                  FROM \(self.names.holdfast).takeovers WHERE workflow_uuid = $1 ORDER BY id
                """,
                [.text(workflowID)]
            )
        )
        var takeovers: [Takeover] = []
        for row in result {
            takeovers.append(
                Takeover(
                    from: ExecutorID(try row.string(0)),
                    by: ExecutorID(try row.string(1)),
                    applicationVersion: try row.optionalString(2),
                    reason: try row.string(3),
                    strikes: try row.int(4),
                    decision: try row.string(5),
                    at: .init(epochMilliseconds: try row.int(6))
                )
            )
        }
        return takeovers
    }

    /// The members of the fleet. What they own is counted once for all of them.
    package static func fleetSQL(_ names: SchemaNames) -> String {
        """
        SELECT e.executor_id, e.incarnation, e.application_name, e.application_version, e.state, e.host, e.pid, e.capacity,
               e.running, (extract(epoch FROM e.started_at) * 1000)::int8,
               extract(epoch FROM clock_timestamp() - e.renewed_at)::float8,
               extract(epoch FROM e.lease_expires_at - clock_timestamp())::float8,
               e.session_server_epoch IS NOT NULL, e.end_reason, e.ended_by, coalesce(o.workflows, 0), e.drain_requested
          FROM \(names.holdfast).executors e
          LEFT JOIN (
            SELECT s.executor_id, left(s.owner_xid, \(Incarnation.length)) AS incarnation, count(*) AS workflows
              FROM \(names.dbos).workflow_status s WHERE s.status = 'PENDING' GROUP BY 1, 2) o
            ON o.executor_id = e.executor_id AND o.incarnation = e.incarnation
         WHERE ($1::text IS NULL OR e.application_name = $1)
           AND (e.state IN ('active', 'draining') OR e.ended_at > clock_timestamp() - interval '1 hour'
                OR (e.state IN ('dead', 'stopped') AND e.reclaimed_at IS NULL))
         ORDER BY e.state IN ('active', 'draining') DESC, e.application_name, e.executor_id, e.started_at
        """
    }

    /// The members of the fleet; ended ones for as long as they left something, or for an hour.
    func fleet(applicationName: String?) async throws(PostgresError) -> [FleetMember] {
        let result = try await self.pool.execute(
            PostgresQuery(Self.fleetSQL(self.names), [.text(applicationName)])
        )
        var members: [FleetMember] = []
        for row in result {
            members.append(
                FleetMember(
                    executorID: ExecutorID(try row.string(0)),
                    incarnation: try row.string(1),
                    applicationName: try row.string(2),
                    applicationVersion: try row.string(3),
                    state: FleetMember.State(rawValue: try row.string(4)),
                    host: try row.string(5),
                    pid: try row.int(6),
                    capacity: try row.int(7),
                    running: try row.int(8),
                    startedAt: .init(epochMilliseconds: try row.int(9)),
                    heartbeatAge: .seconds(try row.double(10)),
                    leaseRemaining: .seconds(try row.double(11)),
                    hasLeaseSession: try row.bool(12),
                    endReason: try row.optionalString(13),
                    endedBy: try row.optionalString(14).map(ExecutorID.init),
                    ownedWorkflows: try row.int(15),
                    isDrainRequested: try row.bool(16)
                )
            )
        }
        return members
    }
}
