// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("The sweep of due delays and deadlines", .timeLimit(.minutes(5)))
struct SweepTests {
    private static func withDelayed(
        _ count: Int,
        _ body: (TestDatabase, _ sweep: () async throws -> SweepReport) async throws -> Void
    ) async throws {
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            try await database.query(
                """
                INSERT INTO {s}.workflow_status
                  (workflow_uuid, status, name, queue_name, application_name, delay_until_epoch_ms)
                SELECT 'w' || n, 'DELAYED', 'w', 'q', 'test-app', n FROM generate_series(1, $1) n
                """,
                .int4(Int32(count))
            )
            let system = SystemDatabase(
                pool: database.pool,
                names: try database.configuration.names(),
                logger: TestDatabase.logger
            )
            // Of its own: other tests sweep in the same database.
            let key = Int64.random(in: .min ... .max)
            try await body(database) { try await system.sweep(lockKey: key, applicationName: "test-app", now: nil) }
        }
    }

    @Test("waits for no row that somebody else has locked")
    func locked() async throws {
        try await Self.withDelayed(3) { database, sweep in
            try await database.query(
                """
                INSERT INTO {s}.workflow_status
                  (workflow_uuid, status, name, queue_name, application_name, workflow_deadline_epoch_ms)
                VALUES ('late', 'ENQUEUED', 'w', 'q', 'test-app', 1)
                """
            )
            try await database.holding("SELECT 1 FROM {s}.workflow_status WHERE workflow_uuid = 'w2' FOR UPDATE") {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    // One that waits is told to give up, so that the test can fail instead of hanging.
                    group.addTask {
                        try await Task.sleep(for: .seconds(20))
                        try await database.query(
                            """
                            SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                             WHERE wait_event_type = 'Lock' AND query LIKE '%{s}%'
                            """
                        )
                    }
                    let report = try await sweep()
                    #expect(report.promoted == 2 && report.expired == 1 && report.promotedQueues == ["q"])
                    group.cancelAll()
                }
            }
            #expect(try await sweep().promoted == 1)
            #expect(try await sweep().promoted == 0)
        }
    }

    @Test("takes many in several transactions, the longest due first")
    func many() async throws {
        try await Self.withDelayed(SystemDatabase.sweepLimit * 2 + 1) { database, sweep in
            #expect(try await sweep().promoted == SystemDatabase.sweepLimit)
            let first = try await database.count(
                "SELECT max(delay_until_epoch_ms)::int4 FROM {s}.workflow_status WHERE status = 'ENQUEUED'"
            )
            #expect(first == SystemDatabase.sweepLimit)
            #expect(try await sweep().promoted == SystemDatabase.sweepLimit)
            #expect(try await sweep().promoted == 1)
        }
    }

    @Test("goes on at once while there is more")
    func repeated() async throws {
        try await Self.withDelayed(SystemDatabase.sweepLimit * 2 + 1) { database, _ in
            try await withExecutor(database, register: { _ in }) { _ in
                try await database.until("SELECT count(*) FROM {s}.workflow_status WHERE status = 'DELAYED'", is: 0)
            }
        }
    }
}
