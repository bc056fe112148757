// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import HoldfastPostgres

/// What tests do with whole schemas.
extension SystemDatabase {
    /// Deletes every row but those that say which migrations have run. Needs no more than the privileges of an executor.
    package func deleteAllRows() async throws(PostgresError) {
        let tables = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                 WHERE schemaname = ANY($1::text[]) AND tablename NOT LIKE '%migrations'
                """,
                [.textArray([self.names.dbos.text, self.names.holdfast.text])]
            )
        )
        var deletions: [PostgresQuery] = []
        for row in tables { deletions.append(PostgresQuery("DELETE FROM \(try row.string(0))")) }
        try await self.repeatingDeadlocks { () async throws(PostgresError) in
            _ = try await self.pool.pipeline(deletions)
        }
    }

    /// Drops both schemas with everything in them.
    package func dropSchemas() async throws(PostgresError) {
        try await self.repeatingDeadlocks { () async throws(PostgresError) in
            _ = try await self.pool.execute(
                PostgresQuery("DROP SCHEMA IF EXISTS \(self.names.dbos), \(self.names.holdfast) CASCADE")
            )
        }
    }

    /// Somebody may still work with these tables, and lock them in another order.
    private func repeatingDeadlocks(_ statement: () async throws(PostgresError) -> Void) async throws(PostgresError) {
        for _ in 1..<10 {
            do throws(PostgresError) {
                return try await statement()
            } catch  where error.sqlState == "40P01" {
                continue
            }
        }
        try await statement()
    }

    /// How many connections the server takes at once.
    package func connectionLimit() async throws(PostgresError) -> Int {
        let result = try await self.pool.execute("SELECT current_setting('max_connections')::int8")
        guard let row = result.first else { return 0 }
        return try row.int(0)
    }

    /// The executors that have neither left nor been declared dead.
    package func activeExecutors() async throws(PostgresError) -> [String] {
        let result = try await self.pool.execute(
            PostgresQuery(
                "SELECT executor_id FROM \(self.names.holdfast).executors WHERE state IN ('active', 'draining')"
            )
        )
        var ids: [String] = []
        for row in result { ids.append(try row.string(0)) }
        return ids
    }

    /// Those of the server's processes that still serve a session.
    package func liveSessions(among processIDs: [Int32]) async throws(PostgresError) -> [Int] {
        let result = try await self.pool.execute(
            PostgresQuery("SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::int4[])", [.int4Array(processIDs)])
        )
        var live: [Int] = []
        for row in result { live.append(try row.int(0)) }
        return live
    }

    /// How many sessions of an application run a statement or have a transaction open.
    package func countBusySessions(ofApplication name: String) async throws(PostgresError) -> Int {
        let result = try await self.pool.execute(
            PostgresQuery(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'",
                [.text(name)]
            )
        )
        guard let row = result.first else { return 0 }
        return try row.int(0)
    }
}
