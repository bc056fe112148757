// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import HoldfastCore
import HoldfastPostgres

/// What one renewal brought back.
package struct RenewalReport: Sendable {
    package var answer: LivenessMachine.RenewalAnswer
    /// The database's clock, in seconds since 1970.
    package var serverTime = 0.0
    /// Whether an operator wants this executor drained.
    package var isDrainRequested = false
    /// Watched peers that look gone.
    package var suspects: [ReclaimMachine.Suspect]
    /// Ended incarnations of this application and version that may still own work.
    package var unreclaimed: [ReclaimMachine.Dead]
}

extension SystemDatabase {
    /// A lease that ends too far ahead was renewed before the database's clock was set back, and not since.
    private static let isLeaseExpired = """
        (lease_expires_at < clock_timestamp()
          OR lease_expires_at > clock_timestamp() + 2 * lease_ms * interval '1 millisecond')
        """

    /// What tells one lease of a member from the next.
    private static let leaseMark = "extract(epoch FROM lease_expires_at)::text"

    /// Whether its watchers should have seen long ago that it has expired: perhaps it has not, and the clock was set.
    private static let isLeaseOverdue = """
        (lease_expires_at < clock_timestamp() - lease_ms / 4 * interval '1 millisecond'
          OR lease_expires_at > clock_timestamp() + 2 * lease_ms * interval '1 millisecond')
        """

    /// Renews the lease and looks at the next peers, in one statement.
    ///
    /// The members of an application form a ring by incarnation; each watches the three after it, so that every member has
    /// several watchers and a renewal costs the same in a fleet of ten and of a thousand. A watched peer is a suspect
    /// when its lease has expired, or when nobody holds the lock of its lease session any more on the server where it
    /// took it. All time is the database's.
    static func renewSQL(_ names: SchemaNames) -> String {
        let columns = """
            incarnation, lease_expires_at, lease_ms, lock_key, session_server_epoch
            """
        let alive = "application_name = $2 AND state IN ('active', 'draining')"
        return """
            WITH me AS (
              UPDATE \(names.holdfast).executors
                 SET renewed_at = clock_timestamp(), running = $4, state = $5,
                     lease_expires_at = clock_timestamp() + lease_ms * interval '1 millisecond',
                     session_server_epoch = CASE $6 WHEN 'held' THEN pg_postmaster_start_time()
                                                    WHEN 'unchanged' THEN session_server_epoch END
               WHERE incarnation = $1 AND state IN ('active', 'draining')
              RETURNING drain_requested
            ), ahead AS MATERIALIZED (
              SELECT \(columns), 0 AS lap FROM \(names.holdfast).executors
               WHERE \(alive) AND incarnation > $1 ORDER BY incarnation LIMIT 3
            ), wrapped AS MATERIALIZED (
              SELECT \(columns), 1 AS lap FROM \(names.holdfast).executors
               WHERE \(alive) AND incarnation < $1 ORDER BY incarnation LIMIT 3
            ), watched AS MATERIALIZED (
              SELECT * FROM (SELECT * FROM ahead UNION ALL SELECT * FROM wrapped) r ORDER BY lap, incarnation LIMIT 3
            ), probed AS MATERIALIZED (
              SELECT incarnation, \(leaseMark) AS lease, \(isLeaseExpired) AS expired, \(isLeaseOverdue) AS overdue,
                     CASE WHEN session_server_epoch = pg_postmaster_start_time()
                          THEN pg_try_advisory_xact_lock_shared(lock_key) ELSE FALSE END AS gone
                FROM watched
            )
            SELECT 'self', extract(epoch FROM pg_postmaster_start_time())::text,
                   (SELECT end_reason FROM \(names.holdfast).executors WHERE incarnation = $1),
                   extract(epoch FROM clock_timestamp())::text, EXISTS (SELECT 1 FROM me), coalesce((SELECT drain_requested FROM me), FALSE)
            UNION ALL
            SELECT 'peer', incarnation, overdue::text, lease, expired, gone
              FROM probed WHERE expired OR gone
            UNION ALL
            (SELECT 'dead', incarnation, executor_id, coalesce(end_reason, 'shutdown'), FALSE, FALSE
               FROM \(names.holdfast).executors
              WHERE application_name = $2 AND application_version = $3 AND state IN ('dead', 'stopped')
                AND reclaimed_at IS NULL AND incarnation <> $1
              ORDER BY ended_at LIMIT 20)
            """
    }

    /// - Parameter hasSession: Whether the member holds its lease session on the server that runs; `nil`: as it said last.
    func renewQuery(_ member: Member, running: Int, isDraining: Bool, hasSession: Bool?) -> PostgresQuery {
        let session = hasSession.map { $0 ? "held" : "none" } ?? "unchanged"
        return PostgresQuery(
            self.statements.renew,
            [
                .text(member.incarnation.text), .text(member.applicationName), .text(member.applicationVersion),
                .int4(Int32(clamping: running)), .text(isDraining ? "draining" : "active"), .text(session),
            ]
        )
    }

    func readRenewal(_ result: PostgresResult) throws(PostgresError) -> RenewalReport {
        var report = RenewalReport(answer: .declaredDead, suspects: [], unreclaimed: [])
        for row in result {
            switch try row.string(0) {
            case "self":
                report.isDrainRequested = try row.bool(5)
                report.serverTime = try row.double(3)
                if try row.bool(4) {
                    report.answer = .renewed(serverEpoch: try row.string(1))
                } else if ["superseded", "replaced"].contains(try row.optionalString(2)) {
                    // Not 'rejoined': that is about an earlier life of this very process, which nobody has succeeded.
                    report.answer = .superseded
                }
            case "peer":
                report.suspects.append(
                    ReclaimMachine.Suspect(
                        incarnation: try row.string(1),
                        lease: try row.string(3),
                        isLeaseExpired: try row.bool(4),
                        isOverdue: try row.string(2) == "true",
                        isSessionGone: try row.bool(5)
                    )
                )
            default:
                report.unreclaimed.append(
                    ReclaimMachine.Dead(
                        incarnation: try row.string(1),
                        executorID: try row.string(2),
                        reason: try row.string(3)
                    )
                )
            }
        }
        return report
    }

    /// Declares suspects dead. The statement looks again itself: who has renewed or reconnected meanwhile lives on, also when the
    /// database's clock was set since, so that the new lease looks expired as well.
    ///
    /// A suspect whose row is locked is left for the next look: one of its claims is under way, which the reclaim would not see, or
    /// it is renewing its lease. Waiting would be wrong, because a transaction whose client was cut off may hold the lock for
    /// long, and other suspects would wait with it.
    ///
    /// - Parameter suspects: With what each is suspected of, and nothing else.
    func declareDead(
        _ suspects: [ReclaimMachine.Suspect],
        by executorID: String
    ) async throws(PostgresError) -> [(dead: ReclaimMachine.Dead, version: String)] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).executors
                   SET state = 'dead', ended_at = clock_timestamp(), ended_by = $2,
                       end_reason = CASE WHEN s.by_lease AND \(Self.leaseMark) = s.lease AND \(Self.isLeaseExpired)
                                         THEN 'lease_expired' ELSE 'session_lost' END
                  FROM unnest($1::text[], $3::bool[], $4::bool[], $5::text[]) AS s(suspect, by_lease, by_session, lease)
                 WHERE incarnation = s.suspect
                   AND incarnation = ANY(ARRAY(
                     SELECT incarnation FROM \(self.names.holdfast).executors
                      WHERE incarnation = ANY($1::text[]) AND state IN ('active', 'draining')
                      ORDER BY incarnation FOR UPDATE SKIP LOCKED))
                   AND state IN ('active', 'draining')
                   AND ((s.by_lease AND \(Self.leaseMark) = s.lease AND \(Self.isLeaseExpired))
                        OR CASE WHEN s.by_session AND session_server_epoch = pg_postmaster_start_time()
                                THEN pg_try_advisory_xact_lock_shared(lock_key) ELSE FALSE END)
                RETURNING incarnation, executor_id, end_reason, application_version
                """,
                [
                    .textArray(suspects.map(\.incarnation)), .text(executorID),
                    .boolArray(suspects.map(\.isLeaseExpired)), .boolArray(suspects.map(\.isSessionGone)),
                    .textArray(suspects.map(\.lease)),
                ]
            )
        )
        var dead: [(dead: ReclaimMachine.Dead, version: String)] = []
        for row in result {
            let member = ReclaimMachine.Dead(
                incarnation: try row.string(0),
                executorID: try row.string(1),
                reason: try row.string(2)
            )
            dead.append((member, try row.string(3)))
        }
        return dead
    }

    /// Leaves the fleet and gives back whatever the member still owns.
    ///
    /// The lock waits for claims that are under way, so that what they claimed is given back, too. What somebody else holds for
    /// longer than a second is left to the peers, who take it over once it is free; the rest does not wait for it.
    ///
    /// - Returns: How many workflows went back, by queue.
    func leave(_ member: Member) async throws(PostgresError) -> [String: Int] {
        do throws(PostgresError) {
            return try await self.leave(member, patience: .seconds(1))
        } catch  where error.isLockTimeout {
            return try await self.leave(member, patience: nil)
        }
    }

    private func leave(_ member: Member, patience: Duration?) async throws(PostgresError) -> [String: Int] {
        let results = try await self.pool.pipeline([
            PostgresQuery(
                "SELECT 1 FROM \(self.names.holdfast).executors WHERE incarnation = $1 FOR UPDATE",
                [.text(member.incarnation.text)]
            ),
            self.handBackAllQuery(member, patience: patience),
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).executors e
                   SET state = 'stopped', ended_at = clock_timestamp(), ended_by = $2, end_reason = 'shutdown',
                       running = 0, reclaimed_at = CASE WHEN NOT \(self.ownsWork("e")) THEN clock_timestamp() END
                 WHERE incarnation = $1 AND state IN ('active', 'draining')
                """,
                [.text(member.incarnation.text), .text(member.executorID)]
            ),
        ])
        var returned: [String: Int] = [:]
        for row in results[1] { returned[try row.string(0)] = try row.int(1) }
        return returned
    }

    /// Forgets members that ended a week ago and own nothing, takeovers of a month ago, and abandoned replay requests.
    func prune() async throws(PostgresError) {
        _ = try await self.pool.pipeline([
            PostgresQuery(
                """
                DELETE FROM \(self.names.holdfast).executors e
                 WHERE state IN ('dead', 'stopped') AND reclaimed_at < clock_timestamp() - interval '7 days'
                   AND NOT \(self.ownsWork("e"))
                """
            ),
            PostgresQuery(
                "DELETE FROM \(self.names.holdfast).takeovers WHERE at < clock_timestamp() - interval '30 days'"
            ),
            PostgresQuery(
                """
                DELETE FROM \(self.names.holdfast).replay_checks
                 WHERE requested_at < clock_timestamp() - interval '1 day'
                """
            ),
        ])
    }

    /// The query that takes the lease session's lock; it is held as long as the session lives.
    func leaseLockQuery(_ incarnation: Incarnation) -> PostgresQuery {
        PostgresQuery("SELECT pg_advisory_lock($1::int8)", [.int8(incarnation.lockKey)])
    }

    /// Whether the member `alias` is alive: it has not ended, and its lease has not expired.
    static func isAlive(_ alias: String) -> String {
        "(\(alias).state IN ('active', 'draining') AND \(alias).lease_expires_at > clock_timestamp())"
    }

    /// Whether the live member `alias` claims nothing more.
    static func isDraining(_ alias: String) -> String {
        "(\(alias).state = 'draining' OR \(alias).drain_requested)"
    }

    /// Whether the member `alias` still owns running work: its tokens begin with its incarnation.
    func ownsWork(_ alias: String) -> String {
        """
        EXISTS (SELECT 1 FROM \(self.names.dbos).workflow_status s
                 WHERE s.status = 'PENDING' AND s.executor_id = \(alias).executor_id
                   AND left(s.owner_xid, \(Incarnation.length)) = \(alias).incarnation)
        """
    }
}
