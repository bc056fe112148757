// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

extension SystemDatabase {
    /// Everything that can keep a workflow from going on; `nil` when there is no workflow of this id.
    func waitingFacts(of workflowID: String) async throws(PostgresError) -> WaitingFacts? {
        let results = try await self.pool.pipeline([
            self.workflowFactsQuery(workflowID), self.executorFactsQuery(workflowID), self.pauseQuery(workflowID),
        ])
        guard let row = results[0].first else { return nil }
        var facts = WaitingFacts(status: try row.string(0), name: try row.optionalString(1) ?? "")
        facts.queueName = try row.optionalString(2)
        facts.application = try row.optionalString(3)
        facts.version = try row.optionalString(4)
        facts.isPortable = try row.bool(5)
        facts.executorID = try row.optionalString(6)
        facts.delayRemainingSeconds = try row.optionalDouble(7)
        facts.strikes = try row.int(8)
        if let state = try row.optionalString(9) {
            facts.owner = WaitingFacts.Owner(
                id: facts.executorID ?? "",
                state: state,
                heartbeatAgeSeconds: try row.double(10),
                leaseRemainingSeconds: try row.double(11),
                leaseSeconds: try row.double(12)
            )
        }
        facts.queue = try Self.queueFacts(row)
        for row in results[1] { facts.executors.append(try Self.executorFacts(row)) }
        if let row = results[2].first {
            if let child = try row.optionalString(2) {
                facts.pause = .child(id: child, status: try row.string(3), others: try row.int(4) - 1)
            } else if let seconds = try row.optionalDouble(0), seconds > 0 {
                facts.pause = .sleep(seconds: seconds, until: try row.optionalString(1))
            }
        }
        return facts
    }

    private static func queueFacts(_ row: PostgresRow) throws(PostgresError) -> WaitingFacts.Queue {
        var queue = WaitingFacts.Queue()
        queue.concurrency = try row.optionalInt(13)
        queue.workerConcurrency = try row.optionalInt(14)
        queue.rateLimit = try row.optionalInt(15)
        queue.ratePeriodSeconds = try row.optionalDouble(16)
        queue.partitionConcurrency = try row.optionalInt(17)
        queue.partitionWorkerConcurrency = try row.optionalInt(18)
        queue.partitionRateLimit = try row.optionalInt(19)
        queue.partitionRatePeriodSeconds = try row.optionalDouble(20)
        queue.pending = try row.int(21)
        queue.ahead = try row.int(22)
        queue.isRegistered = try row.bool(23)
        return queue
    }

    private static func executorFacts(_ row: PostgresRow) throws(PostgresError) -> WaitingFacts.Executor {
        WaitingFacts.Executor(
            id: try row.string(0),
            version: try row.string(1),
            latestVersion: try row.optionalString(2),
            isDraining: try row.bool(3),
            runsWorkflow: try row.bool(4),
            listensToQueue: try row.bool(5),
            running: try row.int(6),
            capacity: try row.int(7),
            runningOfQueue: try row.int(8)
        )
    }

    private func workflowFactsQuery(_ workflowID: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT s.status, s.name, s.queue_name, s.application_name, s.application_version,
                   coalesce(s.serialization = 'portable_json', FALSE), s.executor_id,
                   (s.delay_until_epoch_ms / 1000.0 - extract(epoch FROM clock_timestamp()))::float8,
                   coalesce((SELECT t.strikes FROM \(self.names.holdfast).takeovers t
                              WHERE t.workflow_uuid = s.workflow_uuid ORDER BY t.id DESC LIMIT 1), 0),
                   e.state, extract(epoch FROM clock_timestamp() - e.renewed_at)::float8,
                   extract(epoch FROM e.lease_expires_at - clock_timestamp())::float8, e.lease_ms / 1000.0::float8,
                   q.concurrency, q.worker_concurrency, q.rate_limit_max, q.rate_limit_period_sec,
                   q.partition_concurrency, q.partition_worker_concurrency, q.partition_rate_limit_max,
                   q.partition_rate_limit_period_sec,
                   (SELECT count(*) FROM \(self.names.dbos).workflow_status p
                     WHERE p.queue_name = s.queue_name AND p.status = 'PENDING'),
                   (SELECT count(*) FROM \(self.names.dbos).workflow_status p
                     WHERE p.queue_name = s.queue_name AND p.status = 'ENQUEUED'
                       AND (p.priority, p.created_at) < (s.priority, s.created_at)
                       AND p.application_version IS NOT DISTINCT FROM s.application_version),
                   q.name IS NOT NULL OR coalesce(s.queue_name = '\(Self.internalQueue)', FALSE)
              FROM \(self.names.dbos).workflow_status s
              LEFT JOIN \(self.names.holdfast).executors e
                ON e.executor_id = s.executor_id AND e.incarnation = left(s.owner_xid, \(Incarnation.length))
              LEFT JOIN \(self.names.dbos).queues q ON q.name = s.queue_name
             WHERE s.workflow_uuid = $1
            """,
            [.text(workflowID)]
        )
    }

    /// The live executors that the workflow's application allows, each with the version that is its application's latest,
    /// by the claim's rule. What they run of the queue is counted once for all of them.
    private func executorFactsQuery(_ workflowID: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT e.executor_id, e.application_version,
                   (SELECT v.version_name FROM \(self.names.dbos).application_versions v
                     WHERE v.application_name = e.application_name OR v.application_name IS NULL
                     ORDER BY v.version_timestamp DESC LIMIT 1),
                   \(Self.isDraining("e")), coalesce(s.name = ANY(e.workflows), FALSE),
                   coalesce(s.queue_name = '\(Self.internalQueue)' OR (
                     (e.queues IS NULL OR s.queue_name = ANY(e.queues))
                     AND coalesce(q.application_name, e.application_name) = e.application_name), FALSE),
                   e.running, e.capacity, coalesce(r.running, 0)
              FROM \(self.names.dbos).workflow_status s
              JOIN \(self.names.holdfast).executors e
                ON s.application_name IS NULL OR e.application_name = s.application_name
              LEFT JOIN \(self.names.dbos).queues q ON q.name = s.queue_name
              LEFT JOIN (
                SELECT p.executor_id, count(*) AS running FROM \(self.names.dbos).workflow_status p
                 WHERE p.status = 'PENDING' AND p.queue_name = (
                   SELECT queue_name FROM \(self.names.dbos).workflow_status WHERE workflow_uuid = $1)
                 GROUP BY 1) r ON r.executor_id = e.executor_id
             WHERE s.workflow_uuid = $1 AND \(Self.isAlive("e"))
            """,
            [.text(workflowID)]
        )
    }

    /// What the last record says that the workflow waits for: the end of a sleep, or a child that is open. Children that are
    /// awaited leave no record of it, so every open one counts when the last record is of a child.
    private func pauseQuery(_ workflowID: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT CASE WHEN l.function_name = 'DBOS.sleep'
                     THEN (l.completed_at_epoch_ms / 1000.0 - extract(epoch FROM clock_timestamp()))::float8 END,
                   CASE WHEN l.function_name = 'DBOS.sleep' AND l.completed_at_epoch_ms BETWEEN 0 AND 253402300799999
                     THEN to_char(to_timestamp(l.completed_at_epoch_ms / 1000.0) AT TIME ZONE 'UTC',
                                  'YYYY-MM-DD"T"HH24:MI:SS"Z"') END,
                   c.workflow_uuid, c.status, c.open
              FROM (
                SELECT function_name, completed_at_epoch_ms, child_workflow_id
                  FROM \(self.names.dbos).operation_outputs WHERE workflow_uuid = $1
                 ORDER BY function_id DESC LIMIT 1) l
              LEFT JOIN LATERAL (
                SELECT w.workflow_uuid, w.status, count(*) OVER () AS open
                  FROM \(self.names.dbos).operation_outputs o
                  JOIN \(self.names.dbos).workflow_status w ON w.workflow_uuid = o.child_workflow_id
                 WHERE o.workflow_uuid = $1 AND l.child_workflow_id IS NOT NULL
                   AND w.status IN ('ENQUEUED', 'PENDING', 'DELAYED')
                 ORDER BY o.function_id LIMIT 1) c ON TRUE
            """,
            [.text(workflowID)]
        )
    }
}
