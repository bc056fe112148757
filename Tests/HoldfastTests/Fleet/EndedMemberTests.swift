// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import TestSupport
import Testing

@testable import Holdfast

@Suite("Ended members", .timeLimit(.minutes(5)))
struct EndedMemberTests {
    /// `a` and `b` own nothing and are unmarked; `c` and `d` are marked since nine days, and `d` owns work all the same.
    private static func withEnded(_ body: (TestDatabase, SystemDatabase) async throws -> Void) async throws {
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, ended_at, reclaimed_at)
                SELECT lpad(name, 16, '0'), name, 'test-app', 'v1', 'dead', 'host', 1, 1, 1000, now(), now(), 0, now(),
                       CASE WHEN name > 'b' THEN now() - interval '9 days' END
                  FROM unnest(ARRAY['a', 'b', 'c', 'd']) AS name
                """
            )
            try await database.query(
                """
                INSERT INTO {s}.workflow_status (workflow_uuid, status, name, executor_id, owner_xid, application_name)
                VALUES ('w', 'PENDING', 'w', 'd', lpad('d', 16, '0') || '-1-x', 'test-app')
                """
            )
            let system = SystemDatabase(
                pool: database.pool,
                names: try database.configuration.names(),
                logger: TestDatabase.logger
            )
            try await body(database, system)
        }
    }

    private static func unmarked(_ database: TestDatabase) async throws -> [String] {
        try await database.query("SELECT executor_id FROM {h}.executors WHERE reclaimed_at IS NULL ORDER BY 1")
            .map { try $0.string(0) }
    }

    private static func lock(_ members: String) -> String {
        "SELECT 1 FROM {h}.executors WHERE executor_id IN (\(members)) FOR NO KEY UPDATE"
    }

    /// A statement that waited would never end: only its own end lets the lock go.
    @Test("whose rows are locked keep nobody waiting who strikes members off the list")
    func lockedMark() async throws {
        try await Self.withEnded { database, system in
            let all = ["a", "b"].map { String(repeating: "0", count: 15) + $0 }
            try await database.holding(Self.lock("'a'")) { try await system.markReclaimed(all) }
            #expect(try await Self.unmarked(database) == ["a"])
            try await system.markReclaimed(all)
            #expect(try await Self.unmarked(database) == [])
        }
    }

    @Test("whose rows are locked keep nobody waiting who reviews them")
    func lockedReview() async throws {
        try await Self.withEnded { database, system in
            let reopened = try await database.holding(Self.lock("'a', 'd'")) {
                try await system.reviewEnded(applicationName: "test-app")
            }
            #expect(reopened == 0)
            #expect(try await Self.unmarked(database) == ["a"])
            #expect(try await system.reviewEnded(applicationName: "test-app") == 1)
            #expect(try await Self.unmarked(database) == ["d"])
        }
    }

    @Test("are reviewed by one executor of an application at a time")
    func oneReviews() async throws {
        try await Self.withEnded { database, system in
            let name = system.reviewLock(applicationName: "test-app")
            let reopened = try await database.holding("SELECT pg_advisory_xact_lock(hashtextextended('\(name)', 0))") {
                #expect(try await system.reviewEnded(applicationName: "other-app") == 0)
                return try await system.reviewEnded(applicationName: "test-app")
            }
            #expect(reopened == 0)
            #expect(try await Self.unmarked(database) == ["a", "b"])
            #expect(try await system.reviewEnded(applicationName: "test-app") == 1)
            #expect(try await Self.unmarked(database) == ["d"])
        }
    }

    @Test("are not forgotten while they own work")
    func pruned() async throws {
        try await Self.withEnded { database, system in
            try await system.prune()
            let left = try await database.query("SELECT executor_id FROM {h}.executors ORDER BY 1")
                .map { try $0.string(0) }
            #expect(left == ["a", "b", "d"])
            try await database.query("UPDATE {s}.workflow_status SET status = 'SUCCESS'")
            try await system.prune()
            #expect(try await database.count("SELECT count(*) FROM {h}.executors") == 2)
        }
    }
}
