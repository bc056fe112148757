// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

/// Keeps programs from migrating one database at the same time. Held while this value's connection is open.
///
/// Two advisory locks, taken one after the other:
/// - Holdfast's own. Two programs that build indexes at once run into deadlocks, so this one is waited for without limit:
///   its holder is at work or its session ends.
/// - The one that all SDKs know. It is not waited for forever: behind a pooler another SDK's lock can outlive its holder.
///
/// Other SDKs take theirs for a session. Here an idle transaction holds both, which excludes them just as well and also
/// works behind a pooler: there an unlock sent outside a transaction may reach a session that does not hold the lock.
/// The transaction rests without a snapshot, so it delays neither vacuum nor the building of indexes.
struct MigrationLock {
    static let ownKey: Int64 = PostgresConnection.migrationTransactionKey + 1
    static let sharedKey: Int64 = 1_234_567_890

    private let connection: PostgresConnection
    private let timing: MigrationTiming
    private let logger: Logger

    /// Takes Holdfast's own lock.
    static func acquire(
        _ configuration: PostgresConfiguration,
        timing: MigrationTiming,
        logger: Logger
    ) async throws -> MigrationLock {
        let connection = try await PostgresConnection.connect(configuration, logger: logger)
        let lock = MigrationLock(connection: connection, timing: timing, logger: logger)
        do {
            try await lock.waitForOwn()
            return lock
        } catch {
            await connection.close()
            throw error
        }
    }

    private func waitForOwn() async throws {
        var nextWarning = ContinuousClock.now
        var pause = timing.firstRetryInterval
        while true {
            try await connection.executeScript("BEGIN ISOLATION LEVEL READ COMMITTED")
            if try await attempt(Self.ownKey) { return }
            if ContinuousClock.now >= nextWarning {
                let holder = try await holder(of: Self.ownKey)
                logger.notice(
                    "Waiting for another Holdfast program to finish migrating the system database",
                    metadata: ["holder": "\(holder)"]
                )
                nextWarning = .now + timing.lockPatience
            }
            try await connection.executeScript("ROLLBACK")
            try await Task.sleep(for: pause)
            pause = min(pause * 2, timing.retryInterval)
        }
    }

    /// Takes the lock of all SDKs as well, or goes on without it when it does not become free in time. That is safe,
    /// merely less orderly: a creation is one transaction, and every migration checks the version again.
    func acquireShared() async throws {
        let deadline = ContinuousClock.now + timing.lockPatience
        var isFirst = true
        var pause = timing.firstRetryInterval
        while try await !attempt(Self.sharedKey) {
            let isLast = ContinuousClock.now >= deadline
            if isFirst || isLast {
                let holder = try await holder(of: Self.sharedKey)
                logger.log(
                    level: isLast ? .warning : .notice,
                    isLast
                        ? "Going on without the migration lock, which another program has held for too long"
                        : "Waiting for another program to finish migrating the system database",
                    metadata: [
                        "advisory-lock": "\(Self.sharedKey)",
                        "holder": "\(holder)",
                    ]
                )
            }
            if isLast { return try await rest() }
            isFirst = false
            try await Task.sleep(for: pause)
            pause = min(pause * 2, timing.retryInterval)
        }
    }

    func release() async {
        // Closing alone would do on a direct connection; a pooler may keep the session for a moment.
        try? await connection.executeScript("ROLLBACK")
        await connection.close()
    }

    /// Never waits in the server: a waiting statement holds a snapshot.
    private func attempt(_ key: Int64) async throws -> Bool {
        let answer = try await connection.execute(PostgresQuery("SELECT pg_try_advisory_xact_lock($1)", [.int8(key)]))
        try await rest()
        return try answer[0].bool(0)
    }

    /// Prepares the transaction for a long time without statements.
    private func rest() async throws {
        // What ends idle transactions must not end this one while an index takes hours to build.
        var script = "SET LOCAL idle_in_transaction_session_timeout = 0"
        if connection.serverVersion >= 17_00_00 { script += "; SET LOCAL transaction_timeout = 0" }
        // Sending this in the simple protocol matters, too: it closes the portal of the query before, and with it the
        // snapshot for which the building of indexes would wait forever.
        try await connection.executeScript(script)
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
