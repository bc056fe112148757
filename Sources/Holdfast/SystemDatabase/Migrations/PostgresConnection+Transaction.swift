// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

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
}
