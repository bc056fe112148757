// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

extension DBOSMigration {
    /// Runs statements and the write of the version in one transaction.
    func apply(_ statements: [String], as number: Int) async throws {
        try await connection.withMigrationTransaction(of: number, schema, timing, logger) {
            guard try await recordedVersion() < number else { return }
            for statement in statements { try await connection.executeScript(statement) }
            try await record(number)
        }
    }

    /// Builds an index while others go on writing. That takes several transactions, so death may leave an index behind
    /// that is complete in name only: it is kept up on every write, and no query uses it.
    func build(_ index: DBOSIndex, as number: Int) async throws {
        // Whoever builds an index holds this lock for as long. After it was granted, an invalid index is one whose builder
        // died, not one that is still being built.
        try await connection.executeScript(
            "BEGIN; LOCK TABLE \(schema).\(index.table) IN SHARE UPDATE EXCLUSIVE MODE; COMMIT"
        )
        guard try await recordedVersion() < number else { return }
        if try await isValid(index) == false {
            logger.notice("Dropping an index that was never finished", metadata: ["index": "\(index.name)"])
            try await online("DROP INDEX CONCURRENTLY IF EXISTS \(schema).\(index.name)")
        }
        try await online(index.create(in: schema, on: .concurrentUpgrade))
        guard try await isValid(index) == true else {
            throw MigrationError(
                .blocked,
                "Index \(schema).\(index.name) could not be built on table \(index.table). If another relation bears its"
                    + " name, move that away; if another program is migrating, wait for its end. Then start again."
            )
        }
        try await record(number)
    }

    func drop(_ index: String, as number: Int) async throws {
        guard try await recordedVersion() < number else { return }
        try await online("DROP INDEX CONCURRENTLY IF EXISTS \(schema).\(index)")
        try await record(number)
    }

    /// A statement that must stand outside a transaction and may take hours: cancelling the task stops it.
    private func online(_ sql: String) async throws {
        _ = try await connection.executeCancellable(PostgresQuery(sql))
    }

    /// Never backwards: another program may be further along by now.
    private func record(_ number: Int) async throws {
        _ = try await connection.execute(
            PostgresQuery(
                "UPDATE \(schema).\(DBOSSchema.versionTable) SET version = $1 WHERE version < $1",
                [.int8(Int64(number))]
            )
        )
    }

    private func recordedVersion() async throws -> Int {
        let rows = try await connection.execute(
            PostgresQuery("SELECT coalesce(max(version), 0)::int8 FROM \(schema).\(DBOSSchema.versionTable)")
        )
        return try rows[0].int(0)
    }

    /// Whether the index is usable; `nil` when its table has none of that name.
    private func isValid(_ index: DBOSIndex) async throws -> Bool? {
        let rows = try await connection.execute(
            PostgresQuery(
                """
                SELECT i.indisvalid
                FROM pg_catalog.pg_index i
                JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
                JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND t.relname = $2 AND c.relname = $3
                """,
                [.text(schema.text), .text(index.table), .text(index.name)]
            )
        )
        return try rows.first?.bool(0)
    }
}
