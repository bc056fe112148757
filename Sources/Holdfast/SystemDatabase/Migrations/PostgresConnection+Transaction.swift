// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

extension PostgresConnection {
    /// Serialises the migrations of Holdfast processes even where the shared migration lock was not to be had.
    /// The bytes of "holdfast".
    static let migrationTransactionKey: Int64 = 0x686f_6c64_6661_7374

    /// Runs `body` in a transaction that no other Holdfast migration runs beside.
    func withMigrationTransaction<Value>(_ body: () async throws -> Value) async throws -> Value {
        // Spelled out against defaults of the role or database: what is read after the lock must be what its former
        // holder committed.
        try await executeScript("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        do {
            _ = try await execute(
                PostgresQuery("SELECT pg_advisory_xact_lock($1)", [.int8(Self.migrationTransactionKey)])
            )
            let value = try await body()
            try await executeScript("COMMIT")
            return value
        } catch {
            // Fails when the connection is gone, and then the server has rolled back already.
            try? await executeScript("ROLLBACK")
            throw error
        }
    }

    /// As above, for a migration that locks a table which others use: it gives up soon, lets the others pass, and comes back.
    func withMigrationTransaction<Value>(
        of number: Int,
        _ schema: SchemaName,
        _ timing: MigrationTiming,
        _ logger: Logger,
        _ body: () async throws -> Value
    ) async throws -> Value {
        var attempt = 1
        while true {
            do {
                return try await self.withMigrationTransaction {
                    let patience = timing.tableLockTimeout / .milliseconds(1)
                    try await executeScript("SET LOCAL lock_timeout = \(Int(patience))")
                    return try await body()
                }
            } catch let error as PostgresError where error.sqlState == "55P03" {
                guard attempt < timing.tableLockAttempts else {
                    throw MigrationError(
                        .blocked,
                        "Migration \(number) of schema \(schema) got no lock on its table in \(attempt) attempts "
                            + "(\(error.message)). Find the transaction that holds one in pg_stat_activity, end it, and start"
                            + " again."
                    )
                }
                logger.warning(
                    "A migration waits for a table that a long transaction uses",
                    metadata: ["version": "\(number)", "error": "\(error.message)"]
                )
                try await Task.sleep(for: timing.retryInterval)
                attempt += 1
            }
        }
    }
}
