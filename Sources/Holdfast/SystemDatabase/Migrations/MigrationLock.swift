// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

/// Keeps programs from migrating one database at the same time. Held while this value's connection is open.
///
/// Two advisory locks, taken one after the other:
/// - Holdfast's own. Programs that build indexes at once run into deadlocks, so this one is waited for without limit: its
///   holder is at work, or its session ends and the lock with it.
/// - The one that all SDKs know. It is not waited for forever: behind a pooler, the lock of another SDK's session can
///   outlive its holder.
///
/// On a direct connection the session holds them. It must not be a transaction: building an index waits for every
/// transaction that had a snapshot at the wrong moment, and if that transaction's owner waits for the index in turn, no
/// deadlock detector sees it. Behind a pooler a session's lock would be lost to us at once, so there a transaction holds
/// both locks after all, but it never waits for one while it has the other.
struct MigrationLock {
    static let ownKey: Int64 = PostgresConnection.migrationTransactionKey + 1
    static let sharedKey: Int64 = 1_234_567_890

    let connection: PostgresConnection
    let timing: MigrationTiming
    let logger: Logger
    /// Whether a pooler stands between us and the server.
    let isPooled: Bool

    /// Takes Holdfast's own lock; behind a pooler both.
    static func acquire(
        _ configuration: PostgresConfiguration,
        timing: MigrationTiming,
        logger: Logger
    ) async throws -> MigrationLock {
        let connection = try await PostgresConnection.connect(configuration, logger: logger)
        do {
            // A pooler tells its clients a process number of its own making.
            let server = try await connection.execute("SELECT pg_backend_pid()")[0].int(0)
            let isPooled = server != Int(connection.backendPID)
            let lock = MigrationLock(connection: connection, timing: timing, logger: logger, isPooled: isPooled)
            try await isPooled ? lock.waitInTransactions() : lock.waitForOwn()
            return lock
        } catch {
            await connection.close()
            throw error
        }
    }

    private func waitForOwn() async throws {
        // An index may take hours to build, and this session is idle meanwhile.
        try await connection.executeScript("SET idle_session_timeout = 0")
        var nextNotice = ContinuousClock.now
        var pause = timing.firstRetryInterval
        while try await !attempt("pg_try_advisory_lock", Self.ownKey) {
            if ContinuousClock.now >= nextNotice {
                try await noteWaiting(for: Self.ownKey)
                nextNotice = .now + timing.lockPatience
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, timing.retryInterval)
        }
    }

    /// Takes the lock of all SDKs as well, or goes on without it when it does not become free in time. That is safe,
    /// merely less orderly: a creation is one transaction, and every migration checks the version again.
    func acquireShared() async throws {
        guard !isPooled else { return }
        let deadline = ContinuousClock.now + timing.lockPatience
        var pause = timing.firstRetryInterval
        while try await !attempt("pg_try_advisory_lock", Self.sharedKey) {
            if pause == timing.firstRetryInterval { try await noteWaiting(for: Self.sharedKey) }
            guard ContinuousClock.now < deadline else { return try await warnOfGoingOn(without: Self.sharedKey) }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, timing.retryInterval)
        }
    }

    func release() async {
        // Closing does it on a direct connection; a pooler may keep the session for a moment.
        try? await connection.executeScript(isPooled ? "ROLLBACK" : "SELECT pg_advisory_unlock_all()")
        await connection.close()
    }

    /// Never waits in the server: a waiting statement holds a snapshot.
    func attempt(_ function: String, _ key: Int64) async throws -> Bool {
        try await connection.execute(PostgresQuery("SELECT \(function)($1)", [.int8(key)]))[0].bool(0)
    }
}
