// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite(.timeLimit(.minutes(5))) struct MembershipSchemaTests {
    private let insert = """
        INSERT INTO holdfast.executors (incarnation, executor_id, application_name, application_version, state, host, pid,
          capacity, lease_ms, renewed_at, lease_expires_at, lock_key)
        VALUES ('i', 'e', 'a', 'v', $1, 'h', 1, 10, 10000, now(), now(), 1)
        """

    @Test func theLayoutIsTheRequiredOne() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            let inspection = try await SchemaInspector(connection: database.connection)
                .holdfast(SchemaNames.standard.holdfast)
            var columns = inspection.columns
            columns[HoldfastSchema.versionTable] = nil
            #expect(columns == HoldfastSchema.layout(at: HoldfastSchema.knownVersion))
            #expect(inspection.versions == Array(1...HoldfastSchema.knownVersion))
        }
    }

    @Test func onlyKnownStatesAreStored() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute(insert, [.text("active")])
            for sql in [
                "UPDATE holdfast.executors SET state = 'asleep'", "UPDATE holdfast.executors SET end_reason = 'whim'",
            ] {
                let error = await #expect(throws: PostgresError.self) { try await database.execute(sql) }
                #expect(error?.sqlState == "23514")
            }
        }
    }

    /// A renewal each second per executor must not grow the indexes.
    @Test func renewalsAreHeapOnly() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute(insert, [.text("active")])
            let renewal = """
                UPDATE holdfast.executors
                SET renewed_at = clock_timestamp(), lease_expires_at = clock_timestamp(), running = running + 1
                """
            for _ in 0..<20 { try await database.execute(renewal) }
            // The counts of the transaction's own session are visible at once.
            try await database.connection.executeScript("BEGIN; \(renewal)")
            let row = try await database.execute(
                """
                SELECT pg_stat_get_xact_tuples_updated(c), pg_stat_get_xact_tuples_hot_updated(c)
                FROM (SELECT 'holdfast.executors'::regclass) AS t (c)
                """
            )[0]
            #expect(try row.int(0) >= 1)
            #expect(try row.int(0) == row.int(1))
            try await database.connection.executeScript("COMMIT")
        }
    }
}
