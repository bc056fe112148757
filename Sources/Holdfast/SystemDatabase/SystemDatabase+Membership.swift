// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import HoldfastCore
import HoldfastPostgres

/// One life of an executor as it enters the fleet.
package struct Member: Sendable {
    package var incarnation: Incarnation
    /// The place of its process in the order in which processes began.
    package var began: Int64
    /// Which life of its process this is.
    package var life: Int32
    package var executorID: String
    package var applicationName: String
    package var applicationVersion: String
    package var host: String
    package var pid: Int32
    package var capacity: Int
    /// The workflows it can run.
    package var workflows: [String]
    /// The queues it claims from; `nil`: all.
    package var queues: [String]?
    package var leaseMilliseconds: Int64
}

/// A process in an executor's slot.
package struct SlotHolder: Sendable, Hashable {
    package var host: String
    package var pid: Int
    /// Whether its lease session exists, so that it lives as far as the database can tell.
    package var isAlive: Bool
}

/// What a join brought back.
package struct JoinReport: Sendable {
    /// The running server's start time, which changes with every restart and failover.
    package var serverEpoch: String
    /// The database's clock, in seconds since 1970.
    package var serverTime: Double
    package var hasJoined = false
    /// Other processes that the database knew in the slot: they are superseded, or the reason for not joining.
    package var others: [SlotHolder] = []
}

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
    /// Draws the place of a process in the order in which all began.
    func nextBeginning() async throws(PostgresError) -> Int64 {
        let result = try await self.pool.execute(
            PostgresQuery("SELECT nextval($1::text::regclass)", [.text("\(self.names.holdfast).beginnings")])
        )
        guard let row = result.first else { throw PostgresError(.decoding, "a sequence answered nothing") }
        return Int64(try row.int(0))
    }

    /// Enters the fleet. An older incarnation in the same slot is over: a process that starts there proves it dead, or at
    /// least replaces it.
    ///
    /// A slot belongs to the process that began last, and to the last life of that one. Whoever comes before another that has
    /// been there is refused, even if that one has left again: whoever gave the slot away counts on this process being gone. That
    /// also holds for a join that arrives late, after its process, or a later one, has joined once more.
    ///
    /// Joins of one slot take turns: of two that began at the same moment the second must see the first.
    func join(_ member: Member) async throws(PostgresError) -> JoinReport {
        let results = try await self.pool.pipeline([
            PostgresQuery(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
                [.text("\(self.names.holdfast.text)/\(member.applicationName)/\(member.executorID)")]
            ),
            self.joinQuery(member),
        ])
        guard let row = results[1].first else { throw PostgresError(.decoding, "a join answered nothing") }
        var report = JoinReport(serverEpoch: try row.string(0), serverTime: try row.double(1))
        report.hasJoined = try row.bool(2)
        for row in results[1] {
            guard let host = try row.optionalString(3) else { continue }
            report.others.append(SlotHolder(host: host, pid: try row.int(4), isAlive: try row.bool(5)))
        }
        return report
    }

    private func joinQuery(_ member: Member) -> PostgresQuery {
        PostgresQuery(
            """
            WITH locked AS MATERIALIZED (
              SELECT incarnation, host, pid, began, lock_key, session_server_epoch
                FROM \(self.names.holdfast).executors
               WHERE application_name = $3 AND executor_id = $2 AND state IN ('active', 'draining')
                 AND incarnation <> $1
               ORDER BY incarnation FOR UPDATE
            ), others AS MATERIALIZED (
              SELECT incarnation, host, pid, began = $13 AS is_former,
                     CASE WHEN session_server_epoch = pg_postmaster_start_time()
                          THEN NOT pg_try_advisory_xact_lock_shared(lock_key) ELSE FALSE END AS is_alive
                FROM locked
            ), verdict AS MATERIALIZED (
              SELECT NOT EXISTS (
                SELECT 1 FROM \(self.names.holdfast).executors
                 WHERE application_name = $3 AND executor_id = $2 AND (began, life) > ($13, $14)) AS may_join
            ), superseded AS (
              UPDATE \(self.names.holdfast).executors e
                 SET state = 'dead', ended_at = clock_timestamp(), ended_by = $2,
                     end_reason = CASE WHEN o.is_former THEN 'rejoined' WHEN o.is_alive THEN 'replaced'
                                       ELSE 'superseded' END
                FROM others o
               WHERE e.incarnation = o.incarnation AND (SELECT may_join FROM verdict)
            ), joined AS (
              INSERT INTO \(self.names.holdfast).executors
                (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                 lease_ms, renewed_at, lease_expires_at, lock_key, workflows, queues, began, life,
                 drain_requested)
              SELECT $1, $2, $3, $4, 'active', $5, $6, $7, $8, clock_timestamp(),
                     clock_timestamp() + $8::int8 * interval '1 millisecond', $9, $10,
                     CASE WHEN $11 THEN $12::text[] END, $13, $14,
                     -- What an operator wants of the process outlives its lives.
                     EXISTS (SELECT 1 FROM \(self.names.holdfast).executors
                              WHERE application_name = $3 AND executor_id = $2 AND began = $13 AND drain_requested)
               WHERE (SELECT may_join FROM verdict)
            )
            SELECT extract(epoch FROM pg_postmaster_start_time())::text,
                   extract(epoch FROM clock_timestamp())::float8, v.may_join, o.host, o.pid, o.is_alive
              FROM verdict v LEFT JOIN others o ON NOT o.is_former
            """,
            [
                .text(member.incarnation.text), .text(member.executorID), .text(member.applicationName),
                .text(member.applicationVersion), .text(member.host), .int4(member.pid),
                .int4(Int32(clamping: member.capacity)), .int8(member.leaseMilliseconds),
                .int8(member.incarnation.lockKey), .textArray(member.workflows), .bool(member.queues != nil),
                .textArray(member.queues ?? []), .int8(member.began), .int4(member.life),
            ]
        )
    }

    /// Who lives in a slot, the latest first.
    func holders(of executorID: String, applicationName: String) async throws(PostgresError) -> [SlotHolder] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT host, pid FROM \(self.names.holdfast).executors
                 WHERE application_name = $1 AND executor_id = $2 AND state IN ('active', 'draining')
                 ORDER BY started_at DESC
                """,
                [.text(applicationName), .text(executorID)]
            )
        )
        var holders: [SlotHolder] = []
        for row in result { holders.append(SlotHolder(host: try row.string(0), pid: try row.int(1), isAlive: true)) }
        return holders
    }

    /// A lease that ends too far ahead was renewed before the database's clock was set back, and not since.
    private static let isLeaseExpired = """
        (lease_expires_at < clock_timestamp()
          OR lease_expires_at > clock_timestamp() + 2 * lease_ms * interval '1 millisecond')
        """

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
                     session_server_epoch = CASE WHEN $6 THEN pg_postmaster_start_time() END
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
              SELECT incarnation, \(isLeaseExpired) AS expired, \(isLeaseOverdue) AS overdue,
                     CASE WHEN session_server_epoch = pg_postmaster_start_time()
                          THEN pg_try_advisory_xact_lock_shared(lock_key) ELSE FALSE END AS gone
                FROM watched
            )
            SELECT 'self', extract(epoch FROM pg_postmaster_start_time())::text,
                   (SELECT end_reason FROM \(names.holdfast).executors WHERE incarnation = $1),
                   extract(epoch FROM clock_timestamp())::text, EXISTS (SELECT 1 FROM me), coalesce((SELECT drain_requested FROM me), FALSE)
            UNION ALL
            SELECT 'peer', incarnation, overdue::text, NULL, expired, gone
              FROM probed WHERE expired OR gone
            UNION ALL
            (SELECT 'dead', incarnation, executor_id, coalesce(end_reason, 'shutdown'), FALSE, FALSE
               FROM \(names.holdfast).executors
              WHERE application_name = $2 AND application_version = $3 AND state IN ('dead', 'stopped')
                AND reclaimed_at IS NULL AND incarnation <> $1
              ORDER BY ended_at LIMIT 20)
            """
    }

    func renewQuery(_ member: Member, running: Int, isDraining: Bool, hasSession: Bool) -> PostgresQuery {
        PostgresQuery(
            self.statements.renew,
            [
                .text(member.incarnation.text), .text(member.applicationName), .text(member.applicationVersion),
                .int4(Int32(clamping: running)), .text(isDraining ? "draining" : "active"), .bool(hasSession),
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

    /// Declares suspects dead. The statement looks again itself: who has renewed or reconnected meanwhile lives on.
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
                       end_reason = CASE WHEN s.by_lease AND \(Self.isLeaseExpired) THEN 'lease_expired'
                                         ELSE 'session_lost' END
                  FROM unnest($1::text[], $3::bool[], $4::bool[]) AS s(suspect, by_lease, by_session)
                 WHERE incarnation = s.suspect
                   AND incarnation = ANY(ARRAY(
                     SELECT incarnation FROM \(self.names.holdfast).executors
                      WHERE incarnation = ANY($1::text[]) AND state IN ('active', 'draining')
                      ORDER BY incarnation FOR UPDATE SKIP LOCKED))
                   AND state IN ('active', 'draining')
                   AND ((s.by_lease AND \(Self.isLeaseExpired))
                        OR CASE WHEN s.by_session AND session_server_epoch = pg_postmaster_start_time()
                                THEN pg_try_advisory_xact_lock_shared(lock_key) ELSE FALSE END)
                RETURNING incarnation, executor_id, end_reason, application_version
                """,
                [
                    .textArray(suspects.map(\.incarnation)), .text(executorID),
                    .boolArray(suspects.map(\.isLeaseExpired)), .boolArray(suspects.map(\.isSessionGone)),
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
                DELETE FROM \(self.names.holdfast).executors
                 WHERE state IN ('dead', 'stopped') AND reclaimed_at < clock_timestamp() - interval '7 days'
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
