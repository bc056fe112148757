// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

extension TestDatabase {
    /// Runs `body` while a transaction of the test's own holds what `sql` locks or changes, then commits it.
    func holding<R: Sendable>(_ sql: String, _ body: () async throws -> R) async throws -> R {
        try await self.pool.withConnection { connection in
            _ = try await connection.execute("BEGIN")
            let result: Result<R, any Error>
            do {
                _ = try await connection.execute(PostgresQuery(self.text(sql)))
                result = .success(try await body())
            } catch {
                result = .failure(error)
            }
            _ = try await connection.execute("COMMIT")
            return try result.get()
        }
    }

    /// Waits until so many statements of these schemas like `pattern` wait for a lock.
    func untilBlocked(_ pattern: String, count: Int = 1) async throws {
        try await HoldfastTests.until("\(count) statements like \(pattern) wait for a lock") {
            try await self.count(
                """
                SELECT count(*) FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND query LIKE $1 AND pid <> pg_backend_pid()
                """,
                .text(self.text(pattern))
            ) >= count
        }
    }
}

/// Locks that put events into the order a test wants.
extension Fleet {
    /// Runs `body` while a transaction of the test's own holds what `sql` locks or changes, then commits it.
    func holding<R: Sendable>(_ sql: String, _ body: () async throws -> R) async throws -> R {
        try await self.database.holding(sql, body)
    }

    /// Runs `body` while every reclaim that finds work stops before its end: it has changed the workflows of its batch and
    /// holds their rows, but has not committed.
    func holdingReclaims<R: Sendable>(_ body: () async throws -> R) async throws -> R {
        try await self.database.query(
            """
            CREATE FUNCTION {h}.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              PERFORM pg_advisory_xact_lock_shared(hashtext('{h}'));
              RETURN NEW;
            END $$
            """
        )
        try await self.database.query(
            "CREATE TRIGGER wait_for_test BEFORE INSERT ON {h}.takeovers FOR EACH ROW EXECUTE FUNCTION {h}.wait_for_test()"
        )
        let result: Result<R, any Error>
        do {
            result = .success(try await self.holding("SELECT pg_advisory_xact_lock(hashtext('{h}'))", body))
        } catch {
            result = .failure(error)
        }
        try await self.database.query("DROP FUNCTION {h}.wait_for_test CASCADE")
        return try result.get()
    }

    /// Waits until so many statements of this fleet's schemas like `pattern` wait for a lock.
    func untilBlocked(_ pattern: String, count: Int = 1) async throws {
        try await self.database.untilBlocked(pattern, count: count)
    }

    /// What a reclaim's statement looks like; the server shows no more than 1024 bytes of it.
    static let reclaim = "WITH dead AS%{s}%"

    /// As ``untilBlocked(_:count:)``, for a reclaim.
    func untilReclaimIsHeld() async throws { try await self.untilBlocked(Self.reclaim) }
}
