// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

/// As after a restore of tables alone, or a switch to a server that is fed by logical replication: neither carries sequences.
@Suite("The order of processes, when its sequence was left behind", .timeLimit(.minutes(5)))
struct BeginningTests {
    private static func withLeftBehind(by gap: Int64, _ body: (TestDatabase) async throws -> Void) async throws {
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, ended_at, reclaimed_at, began)
                SELECT 'before', 'slot', 'test-app', 'v1', 'stopped', 'host', 1, 1, 1000, now(), now(), 0, now(), now(),
                       last_value + $1 FROM {h}.beginnings
                """,
                .int8(gap)
            )
            try await body(database)
        }
    }

    @Test("an executor gets the slot of one that ended before")
    func slot() async throws {
        // More than is drawn at a time.
        try await Self.withLeftBehind(by: 1_500_000) { database in
            try await withExecutor(database, id: "slot", register: { _ in }) { _ in
                let later = try await database.count(
                    """
                    SELECT count(*) FROM {h}.executors
                     WHERE state = 'active' AND began > (SELECT began FROM {h}.executors WHERE incarnation = 'before')
                    """
                )
                #expect(later == 1)
            }
        }
    }

    @Test("no place is given to two, and all come after those of before", arguments: [3, 20, 1000])
    func places(gap: Int64) async throws {
        try await Self.withLeftBehind(by: gap) { database in
            let names = try database.configuration.names()
            let system = SystemDatabase(pool: database.pool, names: names, logger: TestDatabase.logger)
            let places = try await withThrowingTaskGroup(of: Int64.self) { group in
                for _ in 0..<40 { group.addTask { try await system.nextBeginning() } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(places).count == places.count)
            let last = try await database.count("SELECT max(began) FROM {h}.executors")
            #expect(places.allSatisfy { $0 > Int64(last) })
        }
    }
}
