// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

extension SystemDatabase {
    /// The queue of directly started workflows once they have to be run again; DBOS's name.
    static let internalQueue = "_dbos_internal_queue"

    /// Puts a bounded batch of the dead members' running work back into its queues and records each takeover.
    ///
    /// `SKIP LOCKED` lets several peers share the load. Only rows whose token begins with a dead incarnation are touched:
    /// the work of a successor in the same slot has other tokens.
    ///
    /// - Returns: How many workflows came back, by queue.
    func reclaim(
        _ dead: [RenewalReport.Dead],
        by member: Member,
        limit: Int
    ) async throws(PostgresError) -> [String: Int] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH dead AS (
                  SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS d(incarnation, executor_id, reason)
                ), picked AS MATERIALIZED (
                  SELECT s.workflow_uuid, d.incarnation, d.executor_id, d.reason
                    FROM \(self.names.dbos).workflow_status s
                    JOIN dead d ON d.executor_id = s.executor_id
                     AND d.incarnation = left(s.owner_xid, \(Incarnation.length))
                   WHERE s.status = 'PENDING' AND s.application_version = $4
                     AND (s.application_name = $5 OR s.application_name IS NULL)
                   ORDER BY s.created_at LIMIT $6 FOR NO KEY UPDATE OF s SKIP LOCKED
                ), requeued AS (
                  UPDATE \(self.names.dbos).workflow_status w
                     SET status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL,
                         updated_at = \(Self.nowMilliseconds),
                         queue_name = coalesce(queue_name, '\(Self.internalQueue)')
                   WHERE w.workflow_uuid = ANY(ARRAY(SELECT workflow_uuid FROM picked)) AND w.status = 'PENDING'
                     AND left(w.owner_xid, \(Incarnation.length)) = ANY($1::text[])
                  RETURNING w.workflow_uuid, w.queue_name, w.application_version
                ), recorded AS (
                  INSERT INTO \(self.names.holdfast).takeovers
                    (workflow_uuid, from_executor_id, from_incarnation, by_executor_id, by_incarnation,
                     application_version, reason)
                  SELECT r.workflow_uuid, p.executor_id, p.incarnation, $7, $8, r.application_version, p.reason
                    FROM requeued r JOIN picked p ON p.workflow_uuid = r.workflow_uuid
                )
                SELECT queue_name, count(*) FROM requeued GROUP BY queue_name
                """,
                [
                    .textArray(dead.map(\.incarnation)), .textArray(dead.map(\.executorID)),
                    .textArray(dead.map(\.reason)), .text(member.applicationVersion), .text(member.applicationName),
                    .int8(Int64(limit)), .text(member.executorID), .text(member.incarnation.text),
                ]
            )
        )
        var counts: [String: Int] = [:]
        for row in result { counts[try row.string(0)] = try row.int(1) }
        return counts
    }

    /// Marks ended members that own nothing any more, so that nobody looks for their work again.
    func markReclaimed(_ incarnations: [String]) async throws(PostgresError) {
        _ = try await self.pool.execute(
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).executors e SET reclaimed_at = clock_timestamp()
                 WHERE incarnation = ANY($1::text[]) AND state IN ('dead', 'stopped') AND reclaimed_at IS NULL
                   AND NOT \(self.ownsWork("e"))
                """,
                [.textArray(incarnations)]
            )
        )
    }

    /// Gives interrupted work back. An interrupted run is neither a failure nor an attempt, so the claim's count is undone.
    ///
    /// The status is hidden from the planner, as it is where outcomes are written.
    func handBackQuery(_ owners: [Owner]) -> PostgresQuery {
        PostgresQuery(
            """
            UPDATE \(self.names.dbos).workflow_status w
               SET \(Self.handBackAssignments)
              FROM unnest($1::text[], $2::text[]) AS f(id, token)
             WHERE w.workflow_uuid = f.id AND w.owner_xid = f.token AND coalesce(w.status, '') = 'PENDING'
            """,
            [.textArray(owners.map(\.workflowID)), .textArray(owners.map(\.token))]
        )
    }

    /// Gives back whatever a member still owns; for the end of a shutdown.
    func handBackAll(_ member: Member) async throws(PostgresError) -> [String] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH returned AS (
                  UPDATE \(self.names.dbos).workflow_status w
                     SET \(Self.handBackAssignments)
                   WHERE w.status = 'PENDING' AND w.executor_id = $2
                     AND left(w.owner_xid, \(Incarnation.length)) = $1
                  RETURNING w.queue_name)
                SELECT DISTINCT queue_name FROM returned
                """,
                [.text(member.incarnation.text), .text(member.executorID)]
            )
        )
        var queues: [String] = []
        for row in result { queues.append(try row.string(0)) }
        return queues
    }

    private static let handBackAssignments = """
        status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL, updated_at = \(nowMilliseconds),
        queue_name = coalesce(queue_name, '\(internalQueue)'),
        recovery_attempts = greatest(coalesce(recovery_attempts, 0) - 1, 0)
        """
}
