// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// What one batch of a reclaim did.
package struct ReclaimReport: Sendable {
    /// Workflows that may run again at once, by queue.
    package var requeued: [String: Int] = [:]
    /// Workflows that wait, because executors keep dying under them.
    package var delayed = 0
    /// Workflows that were given up for the same reason.
    package var quarantined = 0
    package var quarantinedIDs = ""
    /// Of which names they are.
    package var quarantinedNames: [String: Int] = [:]

    package var total: Int { self.requeued.values.reduce(0, +) + self.delayed + self.quarantined }
}

extension SystemDatabase {
    /// The queue of directly started workflows once they have to be run again; DBOS's name.
    static let internalQueue = "_dbos_internal_queue"

    /// Puts a bounded batch of the dead members' running work back into its queues and records each takeover.
    ///
    /// `SKIP LOCKED` lets several peers share the load. Only rows whose token begins with a dead incarnation are touched:
    /// the work of a successor in the same slot has other tokens.
    ///
    /// A workflow under which executors keep dying is delayed, and then given up: see the rules for strikes.
    ///
    /// - Returns: How many workflows came back, by queue; delayed and quarantined ones have no queue here.
    func reclaim(
        _ dead: [ReclaimMachine.Dead],
        by member: Member,
        limit: Int,
        quarantineAfter: Int?
    ) async throws(PostgresError) -> ReclaimReport {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH dead AS (
                  SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS d(incarnation, executor_id, reason)
                ), picked AS MATERIALIZED (
                  SELECT s.workflow_uuid, s.recovery_attempts, d.incarnation, d.executor_id, d.reason, e.ended_at,
                         extract(epoch FROM e.renewed_at) * 1000 - coalesce(s.started_at_epoch_ms, s.created_at) AS lived
                    FROM \(self.names.dbos).workflow_status s
                    JOIN dead d ON d.executor_id = s.executor_id
                     AND d.incarnation = left(s.owner_xid, \(Incarnation.length))
                    LEFT JOIN \(self.names.holdfast).executors e ON e.incarnation = d.incarnation
                   WHERE s.status = 'PENDING' AND s.application_version = $4
                     AND (s.application_name = $5 OR s.application_name IS NULL)
                   ORDER BY s.created_at LIMIT $6 FOR NO KEY UPDATE OF s SKIP LOCKED
                ), judged AS MATERIALIZED (
                  SELECT p.*, \(self.seemsToWait("p")) AS waits FROM picked p
                ), counted AS MATERIALIZED (
                  SELECT j.*, \(self.strikes(of: "j")) AS strikes FROM judged j
                ), decided AS MATERIALIZED (
                  SELECT c.*, n.burden, CASE WHEN n.burden > $9::int4 AND NOT \(self.hasRival("c")) THEN 'quarantined'
                                             WHEN n.burden > 1 THEN 'delayed' ELSE 'requeued' END AS decision
                    FROM counted c CROSS JOIN LATERAL (
                      SELECT c.strikes - CASE WHEN c.waits THEN \(Self.strikesToSpare) ELSE 0 END AS burden) n
                ), changed AS (
                  UPDATE \(self.names.dbos).workflow_status w
                     SET status = CASE d.decision WHEN 'quarantined' THEN 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'
                                                  WHEN 'delayed' THEN 'DELAYED' ELSE 'ENQUEUED' END,
                         owner_xid = NULL, started_at_epoch_ms = NULL, updated_at = \(Self.nowMilliseconds),
                         queue_name = CASE d.decision WHEN 'quarantined' THEN NULL
                                      ELSE coalesce(w.queue_name, '\(Self.internalQueue)') END,
                         deduplication_id = CASE d.decision WHEN 'quarantined' THEN NULL
                                            ELSE w.deduplication_id END,
                         recovery_attempts = CASE
                           WHEN d.reason IN \(Self.reasonsWithoutDeath)
                             THEN greatest(coalesce(w.recovery_attempts, 0) - 1, 0)
                           ELSE w.recovery_attempts END,
                         completed_at = CASE d.decision WHEN 'quarantined' THEN \(Self.nowMilliseconds) END,
                         delay_until_epoch_ms = CASE d.decision
                           WHEN 'delayed' THEN \(Self.nowMilliseconds)
                             + \(Self.delay(strikes: "d.burden", limit: "$9::int4"))
                           ELSE w.delay_until_epoch_ms END
                    FROM decided d
                   WHERE w.workflow_uuid = d.workflow_uuid AND coalesce(w.status, '') = 'PENDING'
                     AND left(w.owner_xid, \(Incarnation.length)) = d.incarnation
                  RETURNING w.workflow_uuid, w.name, w.queue_name, w.application_version, d.executor_id,
                            d.incarnation, d.reason, d.strikes, d.decision
                ), recorded AS (
                  INSERT INTO \(self.names.holdfast).takeovers
                    (workflow_uuid, from_executor_id, from_incarnation, by_executor_id, by_incarnation,
                     application_version, reason, strikes, decision)
                  SELECT workflow_uuid, executor_id, incarnation, $7, $8, application_version, reason, strikes, decision
                    FROM changed
                )
                SELECT decision, CASE decision WHEN 'requeued' THEN queue_name END, count(*),
                       CASE decision WHEN 'quarantined' THEN string_agg(workflow_uuid, ', ') END,
                       CASE decision WHEN 'quarantined' THEN coalesce(name, '') END
                  FROM changed GROUP BY 1, 2, 5
                """,
                [
                    .textArray(dead.map(\.incarnation)), .textArray(dead.map(\.executorID)),
                    .textArray(dead.map(\.reason)), .text(member.applicationVersion), .text(member.applicationName),
                    .int8(Int64(limit)), .text(member.executorID), .text(member.incarnation.text),
                    .int4(quarantineAfter.map { Int32(clamping: $0) }),
                ]
            )
        )
        var report = ReclaimReport()
        for row in result {
            let count = try row.int(2)
            switch try row.string(0) {
            case "requeued": report.requeued[try row.string(1)] = count
            case "delayed": report.delayed += count
            default:
                report.quarantined += count
                let ids = try row.optionalString(3) ?? ""
                report.quarantinedIDs += (report.quarantinedIDs.isEmpty ? "" : ", ") + ids
                report.quarantinedNames[try row.optionalString(4) ?? "", default: 0] += count
            }
        }
        return report
    }

    /// Marks ended members that own nothing any more, so that nobody looks for their work again. Whose row somebody has locked is
    /// left for the next look: nobody waits here, so no two executors can wait for each other.
    func markReclaimed(_ incarnations: [String]) async throws(PostgresError) {
        _ = try await self.pool.execute(
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).executors SET reclaimed_at = clock_timestamp()
                 WHERE incarnation = ANY(ARRAY(
                   SELECT e.incarnation FROM \(self.names.holdfast).executors e
                    WHERE e.incarnation = ANY($1::text[]) AND e.state IN ('dead', 'stopped') AND e.reclaimed_at IS NULL
                      AND NOT \(self.ownsWork("e"))
                    ORDER BY e.incarnation FOR NO KEY UPDATE OF e SKIP LOCKED))
                """,
                [.textArray(incarnations)]
            )
        )
    }

    /// Looks through an application's ended members, whatever their version.
    ///
    /// - Those that own nothing are marked as reclaimed: a version without executors has nobody of its own who would, and its
    ///   work may be finished, cancelled or re-pinned by then.
    /// - Those that were marked and own work are listed as unreclaimed again. A claim by a member that has ended is refused, but
    ///   a direct start is not: it may have waited for the database from before the end until after the reclaim.
    ///
    /// One executor at a time does it, and whose row somebody has locked is left for the next round.
    ///
    /// - Returns: How many were listed again.
    func reviewEnded(applicationName: String) async throws(PostgresError) -> Int {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH gate AS MATERIALIZED (
                  SELECT pg_try_advisory_xact_lock(hashtextextended($2, 0)) AS is_open
                ), reopened AS (
                  UPDATE \(self.names.holdfast).executors SET reclaimed_at = NULL
                   WHERE (SELECT is_open FROM gate) AND incarnation = ANY(ARRAY(
                     SELECT e.incarnation FROM \(self.names.holdfast).executors e
                      WHERE e.application_name = $1 AND e.state IN ('dead', 'stopped') AND e.reclaimed_at IS NOT NULL
                        AND e.incarnation = ANY(ARRAY(
                          SELECT DISTINCT left(s.owner_xid, \(Incarnation.length))
                            FROM \(self.names.dbos).workflow_status s
                           WHERE s.status = 'PENDING' AND s.owner_xid IS NOT NULL
                             AND (s.application_name = $1 OR s.application_name IS NULL)))
                      ORDER BY e.incarnation FOR NO KEY UPDATE SKIP LOCKED))
                  RETURNING 1
                ), marked AS (
                  UPDATE \(self.names.holdfast).executors SET reclaimed_at = clock_timestamp()
                   WHERE (SELECT is_open FROM gate) AND incarnation = ANY(ARRAY(
                     SELECT e.incarnation FROM \(self.names.holdfast).executors e
                      WHERE e.application_name = $1 AND e.state IN ('dead', 'stopped') AND e.reclaimed_at IS NULL
                        AND NOT \(self.ownsWork("e"))
                      ORDER BY e.incarnation FOR NO KEY UPDATE OF e SKIP LOCKED))
                )
                SELECT count(*) FROM reopened
                """,
                [.text(applicationName), .text(self.reviewLock(applicationName: applicationName))]
            )
        )
        guard let row = result.first else { return 0 }
        return try row.int(0)
    }

    /// What the advisory lock of a review is named after; no slot's lock is named like that.
    func reviewLock(applicationName: String) -> String { "\(self.names.holdfast.text) review of \(applicationName)" }

    /// Gives interrupted work back. An interrupted run is neither a failure nor an attempt, so the claim's count is undone.
    ///
    /// The status is hidden from the planner, as it is where outcomes are written.
    func handBackQuery(_ owners: [Owner], patience: Duration) -> PostgresQuery {
        PostgresQuery(
            """
            UPDATE \(self.names.dbos).workflow_status w
               SET \(Self.handBackAssignments)
              FROM unnest($1::text[], $2::text[]) AS f(id, token)
             WHERE w.workflow_uuid = f.id AND w.owner_xid = f.token AND coalesce(w.status, '') = 'PENDING'
               AND \(Self.limitingLocks(to: "$3"))
            """,
            [
                .textArray(owners.map(\.workflowID)), .textArray(owners.map(\.token)), Self.lockLimit(patience),
            ]
        )
    }

    /// Gives back whatever was claimed under `tokens`, each of which names one claim, but what somebody else has locked.
    ///
    /// - Returns: How many workflows there were, and how many of them were given back.
    func handBackClaims(
        _ tokens: [String],
        executorID: String
    ) async throws(PostgresError) -> (found: Int, returned: Int) {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH found AS MATERIALIZED (
                  SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                   WHERE status = 'PENDING' AND executor_id = $2 AND owner_xid = ANY($1::text[])
                ), returned AS (
                  UPDATE \(self.names.dbos).workflow_status w
                     SET \(Self.handBackAssignments)
                   WHERE w.workflow_uuid = ANY(ARRAY(
                       SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                        WHERE workflow_uuid = ANY(ARRAY(SELECT workflow_uuid FROM found)) FOR NO KEY UPDATE SKIP LOCKED))
                     AND coalesce(w.status, '') = 'PENDING' AND w.owner_xid = ANY($1::text[])
                  RETURNING 1)
                SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM returned)
                """,
                [.textArray(tokens), .text(executorID)]
            )
        )
        guard let row = result.first else { return (0, 0) }
        return (try row.int(0), try row.int(1))
    }

    /// Gives back whatever a member still owns; the queues that it went back to, and how many workflows to each.
    ///
    /// - Parameter patience: How long it waits for a lock; `nil`: locked rows are left alone.
    func handBackAllQuery(_ member: Member, patience: Duration?) -> PostgresQuery {
        PostgresQuery(
            """
            WITH returned AS (
              UPDATE \(self.names.dbos).workflow_status w
                 SET \(Self.handBackAssignments)
               WHERE w.workflow_uuid = ANY(ARRAY(
                   SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                    WHERE status = 'PENDING' AND executor_id = $2 AND left(owner_xid, \(Incarnation.length)) = $1
                      AND \(Self.limitingLocks(to: "$3"))
                    ORDER BY workflow_uuid FOR NO KEY UPDATE\(patience == nil ? " SKIP LOCKED" : "")))
                 AND coalesce(w.status, '') = 'PENDING' AND left(w.owner_xid, \(Incarnation.length)) = $1
              RETURNING w.queue_name)
            SELECT queue_name, count(*) FROM returned GROUP BY 1
            """,
            [.text(member.incarnation.text), .text(member.executorID), Self.lockLimit(patience ?? .zero)]
        )
    }

    private static let handBackAssignments = """
        status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL, updated_at = \(nowMilliseconds),
        queue_name = coalesce(queue_name, '\(internalQueue)'),
        recovery_attempts = greatest(coalesce(recovery_attempts, 0) - 1, 0)
        """
}
