// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

/// The advisory lock that keeps SDKs from migrating one database at the same time.
///
/// The other SDKs take it for their session. Here an idle transaction holds it, which excludes theirs just as well and
/// also works behind a pooler: there the end of a session is not ours to decide, and an unlock sent outside a
/// transaction may reach a session that does not hold the lock. The transaction takes no snapshot between statements, so
/// it delays neither vacuum nor the building of indexes.
struct MigrationLock {
    static let key: Int64 = 1_234_567_890

    private let connection: PostgresConnection

    /// Takes the lock; `nil` when it did not become free in time. Going on is then safe, merely less orderly: a creation
    /// is one transaction, and every migration checks the version again.
    static func acquire(
        _ configuration: PostgresConfiguration,
        timing: MigrationTiming,
        logger: Logger
    ) async throws -> MigrationLock? {
        let connection = try await PostgresConnection.connect(configuration, logger: logger)
        do {
            let isLocked = try await wait(on: connection, timing: timing, logger: logger)
            guard !isLocked else { return MigrationLock(connection: connection) }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return nil
    }

    private static func wait(
        on connection: PostgresConnection,
        timing: MigrationTiming,
        logger: Logger
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + timing.lockPatience
        var isFirst = true
        while true {
            // An index may take hours to build, and what ends idle transactions must not end this one meanwhile.
            try await connection.executeScript(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            if connection.serverVersion >= 17_00_00 {
                try await connection.executeScript("SET LOCAL transaction_timeout = 0")
            }
            let answer = try await connection.execute(
                PostgresQuery("SELECT pg_try_advisory_xact_lock($1)", [.int8(key)])
            )
            if try answer[0].bool(0) { return true }
            try await connection.executeScript("ROLLBACK")
            guard ContinuousClock.now < deadline else { break }
            if isFirst { logger.info("Waiting for another program to finish migrating the system database") }
            isFirst = false
            try await Task.sleep(for: timing.retryInterval)
        }
        logger.warning(
            "Going on without the migration lock, which another program has held for too long",
            metadata: ["advisory-lock": "\(key)", "waited": "\(timing.lockPatience)"]
        )
        return false
    }

    func release() async {
        // Closing alone would do on a direct connection; a pooler may keep the session for a moment.
        try? await connection.executeScript("ROLLBACK")
        await connection.close()
    }
}
