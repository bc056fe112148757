// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

extension SystemDatabase {
    /// Everything that can keep a workflow from going on; `nil` when there is no workflow of this id.
    func waitingFacts(of workflowID: String) async throws(PostgresError) -> WaitingFacts? {
        let results = try await self.pool.pipeline([
            self.workflowFactsQuery(workflowID), self.executorFactsQuery(workflowID),
        ])
        guard let row = results[0].first else { return nil }
        var facts = WaitingFacts(status: try row.string(0), name: try row.optionalString(1) ?? "")
        facts.queueName = try row.optionalString(2)
        facts.application = try row.optionalString(3)
        facts.version = try row.optionalString(4)
        facts.latestVersion = try row.optionalString(5)
        facts.isPortable = try row.bool(6)
        facts.executorID = try row.optionalString(7)
        facts.delayRemainingSeconds = try row.optionalDouble(8)
        facts.strikes = try row.int(9)
        if let state = try row.optionalString(10) {
            facts.owner = WaitingFacts.Owner(
                id: facts.executorID ?? "",
                state: state,
                heartbeatAgeSeconds: try row.double(11),
                leaseRemainingSeconds: try row.double(12)
            )
        }
        var queue = WaitingFacts.Queue()
        queue.concurrency = try row.optionalInt(13)
        queue.workerConcurrency = try row.optionalInt(14)
        queue.rateLimit = try row.optionalInt(15)
        queue.ratePeriodSeconds = try row.optionalDouble(16)
        queue.hasPartitionLimits = try row.bool(17)
        queue.pending = try row.int(18)
        queue.ahead = try row.int(19)
        queue.isRegistered = try row.bool(20)
        facts.queue = queue
        for row in results[1] {
            facts.executors.append(
                WaitingFacts.Executor(
                    id: try row.string(0),
                    version: try row.string(1),
                    isDraining: try row.bool(2),
                    runsWorkflow: try row.bool(3),
                    listensToQueue: try row.bool(4),
                    running: try row.int(5),
                    capacity: try row.int(6),
                    runningOfQueue: try row.int(7)
                )
            )
        }
        return facts
    }

    private func workflowFactsQuery(_ workflowID: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT s.status, s.name, s.queue_name, s.application_name, s.application_version,
                   (SELECT version_name FROM \(self.names.dbos).application_versions v
                     WHERE v.application_name = s.application_name OR v.application_name IS NULL
                     ORDER BY version_timestamp DESC LIMIT 1),
                   coalesce(s.serialization = 'portable_json', FALSE), s.executor_id,
                   (s.delay_until_epoch_ms / 1000.0 - extract(epoch FROM clock_timestamp()))::float8,
                   coalesce((SELECT t.strikes FROM \(self.names.holdfast).takeovers t
                              WHERE t.workflow_uuid = s.workflow_uuid ORDER BY t.id DESC LIMIT 1), 0),
                   e.state, extract(epoch FROM clock_timestamp() - e.renewed_at)::float8,
                   extract(epoch FROM e.lease_expires_at - clock_timestamp())::float8,
                   q.concurrency, q.worker_concurrency, q.rate_limit_max, q.rate_limit_period_sec,
                   num_nonnulls(q.partition_concurrency, q.partition_worker_concurrency, q.partition_rate_limit_max) > 0,
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

    private func executorFactsQuery(_ workflowID: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT e.executor_id, e.application_version, \(Self.isDraining("e")),
                   coalesce(s.name = ANY(e.workflows), FALSE),
                   coalesce(s.queue_name = '\(Self.internalQueue)' OR (
                     (e.queues IS NULL OR s.queue_name = ANY(e.queues))
                     AND coalesce(q.application_name, e.application_name) = e.application_name), FALSE),
                   e.running, e.capacity,
                   (SELECT count(*) FROM \(self.names.dbos).workflow_status p
                     WHERE p.status = 'PENDING' AND p.queue_name = s.queue_name AND p.executor_id = e.executor_id)
              FROM \(self.names.dbos).workflow_status s
              JOIN \(self.names.holdfast).executors e
                ON s.application_name IS NULL OR e.application_name = s.application_name
              LEFT JOIN \(self.names.dbos).queues q ON q.name = s.queue_name
             WHERE s.workflow_uuid = $1 AND \(Self.isAlive("e"))
            """,
            [.text(workflowID)]
        )
    }
}
