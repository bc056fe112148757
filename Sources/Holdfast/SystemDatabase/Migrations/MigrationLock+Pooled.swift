// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

extension MigrationLock {
    /// Takes both locks in one transaction and leaves it open, or gives up on locks altogether.
    func waitInTransactions() async throws {
        let deadline = ContinuousClock.now + timing.lockPatience
        var pause = timing.firstRetryInterval
        while true {
            try await connection.executeScript("BEGIN ISOLATION LEVEL READ COMMITTED")
            let hasOwn = try await attempt("pg_try_advisory_xact_lock", Self.ownKey)
            if hasOwn, try await attempt("pg_try_advisory_xact_lock", Self.sharedKey) { return try await rest() }
            let missing = hasOwn ? Self.sharedKey : Self.ownKey
            if pause == timing.firstRetryInterval { try await noteWaiting(for: missing) }
            let isLast = hasOwn && ContinuousClock.now >= deadline
            if isLast { try await warnOfGoingOn(without: missing) }
            try await connection.executeScript("ROLLBACK")
            if isLast { return }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, timing.retryInterval)
        }
    }

    /// Prepares the transaction for a long time without statements.
    private func rest() async throws {
        // What ends idle transactions must not end this one while an index takes hours to build.
        var script = "SET LOCAL idle_in_transaction_session_timeout = 0"
        if connection.serverVersion >= 17_00_00 { script += "; SET LOCAL transaction_timeout = 0" }
        // Sending this in the simple protocol matters, too: it closes the portal of the query before, and with it the
        // snapshot for which the building of indexes would wait.
        try await connection.executeScript(script)
    }

    func noteWaiting(for key: Int64) async throws {
        let holder = try await holder(of: key)
        logger.notice(
            "Waiting for another program to finish migrating the system database",
            metadata: ["advisory-lock": "\(key)", "holder": "\(holder)"]
        )
    }

    func warnOfGoingOn(without key: Int64) async throws {
        let holder = try await holder(of: key)
        logger.warning(
            "Going on without the migration lock, which another program has held for too long",
            metadata: ["advisory-lock": "\(key)", "holder": "\(holder)"]
        )
    }

    /// Who holds a lock, for the operator who has to do something about it.
    private func holder(of key: Int64) async throws -> String {
        let rows = try await connection.execute(
            PostgresQuery(
                """
                SELECT concat('process ', l.pid, ' (', a.application_name, ')')
                FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
                  AND l.classid::int8 << 32 | l.objid::int8 = $1
                """,
                [.int8(key)]
            )
        )
        return try rows.first?.string(0) ?? "gone meanwhile"
    }
}
