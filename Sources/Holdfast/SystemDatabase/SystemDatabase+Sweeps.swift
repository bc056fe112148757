// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// What one round of the database's background jobs did.
package struct SweepReport: Sendable {
    /// Whether this process held the fleet-wide lock; without it another one is sweeping.
    package var wasLeader: Bool
    package var expired: Int
    package var promoted: Int
    /// The queues that delayed work has just entered.
    package var promotedQueues: [String]
}

extension SystemDatabase {
    /// At most so many deadlines are enforced and so many delays ended at once; a full batch is followed by another.
    static let sweepLimit = 1000

    /// The key of DBOS's background job lock: programs of other languages in the same application then take turns with us.
    func sweepLockKey(applicationName: String) async throws(PostgresError) -> Int64 {
        let result = try await self.pool.execute(
            PostgresQuery(
                "SELECT ('x' || substr(encode(sha256(convert_to($1, 'UTF8')), 'hex'), 1, 16))::bit(64)::int8",
                [.text("dbos.background_job.\(self.names.dbos.text).\(applicationName).background_jobs")]
            )
        )
        guard let row = result.first else { return 0 }
        return Int64(try row.int(0))
    }

    /// Moves delayed work whose time has come into its queues, and cancels work whose deadline has passed; by the database's
    /// clock, so that a host whose own is wrong neither starts nor cancels anybody's work too early. What somebody else has locked is left for
    /// a later round.
    ///
    /// - Parameter now: A time to go by instead.
    func sweep(lockKey: Int64, applicationName: String, now: Int64?) async throws(PostgresError) -> SweepReport {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH gate AS MATERIALIZED (
                  SELECT pg_try_advisory_xact_lock($1) AS is_open
                ), promoted AS (
                  UPDATE \(self.names.dbos).workflow_status
                     SET status = 'ENQUEUED',
                         deduplication_id = CASE WHEN is_debounced THEN NULL ELSE deduplication_id END
                   WHERE (SELECT is_open FROM gate) AND status = 'DELAYED' AND workflow_uuid = ANY(ARRAY(
                     SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                      WHERE status = 'DELAYED'
                        AND delay_until_epoch_ms <= coalesce($3::int8, \(Self.nowMilliseconds))
                        AND (application_name = $2 OR application_name IS NULL)
                      ORDER BY delay_until_epoch_ms LIMIT \(Self.sweepLimit) FOR NO KEY UPDATE SKIP LOCKED))
                  RETURNING queue_name
                ), expired AS (
                  UPDATE \(self.names.dbos).workflow_status
                     SET status = 'CANCELLED', owner_xid = NULL, queue_name = NULL, deduplication_id = NULL,
                         started_at_epoch_ms = NULL, updated_at = \(Self.nowMilliseconds),
                         completed_at = \(Self.nowMilliseconds)
                   WHERE (SELECT is_open FROM gate) AND workflow_uuid = ANY(ARRAY(
                     SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                      WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED')
                        AND workflow_deadline_epoch_ms IS NOT NULL
                        AND workflow_deadline_epoch_ms <= coalesce($3::int8, \(Self.nowMilliseconds))
                        AND (application_name = $2 OR application_name IS NULL)
                      ORDER BY workflow_deadline_epoch_ms LIMIT \(Self.sweepLimit) FOR UPDATE SKIP LOCKED))
                  RETURNING 1
                )
                SELECT (SELECT is_open FROM gate), (SELECT count(*) FROM expired), (SELECT count(*) FROM promoted),
                       (SELECT string_agg(DISTINCT queue_name, E'\\n') FROM promoted)
                """,
                [.int8(lockKey), .text(applicationName), .int8(now)]
            )
        )
        guard let row = result.first else { throw PostgresError(.decoding, "a sweep answered nothing") }
        return SweepReport(
            wasLeader: try row.bool(0),
            expired: try row.int(1),
            promoted: try row.int(2),
            promotedQueues: try row.optionalString(3)?.split(separator: "\n").map(String.init) ?? []
        )
    }
}
