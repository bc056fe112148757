// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import HoldfastCore
import HoldfastPostgres
import Logging

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

extension SystemDatabase {
    /// Draws the place of a process in the order in which all began: after everybody who has been here.
    ///
    /// A sequence that was left behind, because logical replication and restores of single tables do not carry it along, is drawn
    /// from until it has caught up, a million at a time. It is never set, so no place is given to two.
    func nextBeginning() async throws(PostgresError) -> Int64 {
        let sequence = PostgresBinding.text("\(self.names.holdfast).beginnings")
        // What the statement sees was drawn before it draws.
        let drawn = try await self.pool.execute(
            PostgresQuery(
                """
                WITH drawn AS MATERIALIZED (SELECT nextval($1::text::regclass) AS place)
                SELECT d.place, d.place > coalesce((SELECT max(began) FROM \(self.names.holdfast).executors), 0)
                  FROM drawn d
                """,
                [sequence]
            )
        )
        guard let row = drawn.first else { throw PostgresError(.decoding, "a sequence answered nothing") }
        if try row.bool(1) { return Int64(try row.int(0)) }
        self.logger.warning("the order of processes is behind their table, as after a restore; drawing it up")
        while true {
            // One process at a time, or a fleet that starts would draw as often as there are processes.
            let results = try await self.pool.pipeline([
                PostgresQuery("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [sequence]),
                PostgresQuery(
                    """
                    WITH drawn AS MATERIALIZED (
                      SELECT nextval($1::text::regclass) AS place
                    ), last AS MATERIALIZED (
                      SELECT coalesce(max(began), 0) AS place FROM \(self.names.holdfast).executors
                    ), caught_up AS MATERIALIZED (
                      SELECT greatest(d.place, (SELECT max(nextval($1::text::regclass))
                               FROM generate_series(d.place, least(l.place, d.place + 999999)))) AS place
                        FROM drawn d CROSS JOIN last l
                    )
                    SELECT c.place, c.place > l.place FROM caught_up c CROSS JOIN last l
                    """,
                    [sequence]
                ),
            ])
            guard let row = results[1].first else { throw PostgresError(.decoding, "a sequence answered nothing") }
            if try row.bool(1) { return Int64(try row.int(0)) }
        }
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
}
