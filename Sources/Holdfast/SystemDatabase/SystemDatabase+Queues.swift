// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// A row of `queues`.
package struct QueueRow: Sendable {
    package var name: String
    package var concurrency: Int?
    package var workerConcurrency: Int?
    package var rateLimit: Int?
    package var ratePeriodSeconds: Double?
    package var pollingIntervalSeconds: Double
    package var applicationName: String?
    package var hasPartitionLimits: Bool

    /// Limits that several executors share need more than the plain claim.
    package var hasSharedLimits: Bool {
        self.concurrency != nil || self.rateLimit != nil || self.hasPartitionLimits
    }
}

/// What waits and runs on one queue.
package struct QueueDepth: Sendable {
    package var enqueued: Int
    package var pending: Int
    package var delayed: Int
    package var oldestEnqueuedAt: Int64?
}

extension SystemDatabase {
    /// Stores a queue's limits.
    ///
    /// - Parameter overwrites: Whether an existing row is changed; an executor that runs an older version leaves it.
    /// - Returns: The application that owns the queue afterwards.
    func registerQueue(
        _ queue: Queue,
        applicationName: String,
        overwrites: Bool
    ) async throws(PostgresError) -> String? {
        let result = try await self.patiently(
            PostgresQuery(
                """
                INSERT INTO \(self.names.dbos).queues AS q
                  (name, worker_concurrency, priority_enabled, partition_queue, polling_interval_sec, application_name)
                VALUES ($1, $2, TRUE, FALSE, $3, $4)
                ON CONFLICT (name) DO UPDATE SET
                  application_name = coalesce(q.application_name, $4),
                  worker_concurrency = CASE WHEN $5 AND coalesce(q.application_name, $4) = $4
                    THEN EXCLUDED.worker_concurrency ELSE q.worker_concurrency END,
                  polling_interval_sec = CASE WHEN $5 AND coalesce(q.application_name, $4) = $4
                    THEN EXCLUDED.polling_interval_sec ELSE q.polling_interval_sec END,
                  updated_at = \(Self.nowMilliseconds)
                RETURNING application_name
                """,
                [
                    .text(queue.name.rawValue), .int4(queue.workerConcurrency.map { Int32(clamping: $0) }),
                    .double(queue.pollingInterval.inSeconds), .text(applicationName), .bool(overwrites),
                ]
            )
        )
        return try result.first?.optionalString(0)
    }

    /// The queues of an application and those nobody owns; all queues without a name.
    func queues(applicationName: String?) async throws(PostgresError) -> [QueueRow] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT name, concurrency, worker_concurrency, rate_limit_max, rate_limit_period_sec,
                       polling_interval_sec, application_name,
                       num_nonnulls(partition_concurrency, partition_worker_concurrency, partition_rate_limit_max) > 0
                  FROM \(self.names.dbos).queues
                 WHERE $1::text IS NULL OR application_name = $1 OR application_name IS NULL
                 ORDER BY name
                """,
                [.text(applicationName)]
            )
        )
        var queues: [QueueRow] = []
        for row in result {
            queues.append(
                QueueRow(
                    name: try row.string(0),
                    concurrency: try row.optionalInt(1),
                    workerConcurrency: try row.optionalInt(2),
                    rateLimit: try row.optionalInt(3),
                    ratePeriodSeconds: try row.optionalDouble(4),
                    pollingIntervalSeconds: try row.double(5),
                    applicationName: try row.optionalString(6),
                    hasPartitionLimits: try row.bool(7)
                )
            )
        }
        return queues
    }

    /// Open work by queue, also of queues that are not registered.
    func queueDepths() async throws(PostgresError) -> [String: QueueDepth] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT queue_name, count(*) FILTER (WHERE status = 'ENQUEUED'), count(*) FILTER (WHERE status = 'PENDING'),
                       count(*) FILTER (WHERE status = 'DELAYED'), min(created_at) FILTER (WHERE status = 'ENQUEUED')
                  FROM \(self.openWork("queue_name, status, created_at")) w
                 WHERE queue_name IS NOT NULL
                 GROUP BY queue_name
                """
            )
        )
        var depths: [String: QueueDepth] = [:]
        for row in result {
            depths[try row.string(0)] = QueueDepth(
                enqueued: try row.int(1),
                pending: try row.int(2),
                delayed: try row.int(3),
                oldestEnqueuedAt: try row.optionalInt(4).map(Int64.init)
            )
        }
        return depths
    }

    /// Tells listening executors that work has arrived on queues.
    ///
    /// Sent on its own, after the commit that enqueued: a commit that notifies takes a database-wide lock.
    func notifyQueues(_ queues: [String], channel: String) async throws(PostgresError) {
        _ = try await self.pool.execute(
            PostgresQuery("SELECT pg_notify($1, q) FROM unnest($2::text[]) AS q", [.text(channel), .textArray(queues)])
        )
    }
}
