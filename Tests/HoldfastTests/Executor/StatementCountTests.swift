// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

@Suite("The number of statements", .timeLimit(.minutes(5)))
struct StatementCountTests {
    /// Counts the statements of one role.
    struct Counter: Sendable {
        let database: TestDatabase
        let role: String

        /// Begins at zero.
        func reset() async throws {
            try await self.database.query(
                "SELECT pg_stat_statements_reset(oid, 0, 0) FROM pg_roles WHERE rolname = $1",
                .text(self.role)
            )
        }

        func count(without patterns: [String] = []) async throws -> Int {
            try await self.database.count(
                """
                SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
                 WHERE r.rolname = $1 AND query NOT LIKE ALL ($2)
                """,
                .text(self.role),
                .textArray(patterns)
            )
        }
    }

    /// The view forgets statements when it is full, and earlier runs have filled it: once in a run it is emptied.
    private static let room = Task {
        let pool = PostgresPool(TestDatabase.connection(), size: 1, logger: TestDatabase.logger)
        _ = try await pool.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        _ = try await pool.execute("SELECT pg_stat_statements_reset()")
        await pool.close()
    }

    /// A database whose executors connect as a role of their own, so that their statements can be counted.
    private static func withCounter(_ body: (TestDatabase, Counter) async throws -> Void) async throws {
        try await TestDatabase.with(fresh: true) { shared in
            let role = "counted_\(UUID().uuidString.prefix(8).lowercased())"
            try await Self.room.value
            // A superuser, because granting rights on the database fails when two tests do so at once.
            try await shared.query("CREATE ROLE \(role) LOGIN SUPERUSER")
            var configuration = shared.configuration
            configuration.url += (configuration.url.contains("?") ? "&" : "?") + "user=\(role)"
            let database = TestDatabase(configuration: configuration, pool: shared.pool)
            let result: Result<Void, any Error>
            do {
                try await body(database, Counter(database: shared, role: role))
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try await shared.query("DROP OWNED BY \(role) CASCADE")
            try await shared.query("DROP ROLE \(role)")
            try result.get()
        }
    }

    @Test("of an idle executor is three a second at most, however many queues there are", arguments: [1, 50])
    func idle(queues: Int) async throws {
        try await Self.withCounter { database, counter in
            try await withExecutor(
                database,
                queues: (0..<queues).map { Queue(QueueName("q\($0)")) },
                configure: { $0.pollInterval = .seconds(1) },
                register: { try $0.register(WorkflowReference<Nothing, Nothing>("w")) { _, _ in Nothing() } }
            ) { _ in
                // The first round of each of its jobs does more.
                try await database.until("SELECT count(*) FROM {h}.executors WHERE running = 0", is: 1)
                try await Task.sleep(for: .seconds(2))
                let began = ContinuousClock.now
                try await counter.reset()
                // Long enough that what falls on the ends matters little; the pruning of every hour may fall in.
                try await Task.sleep(for: .seconds(30))
                let statements = try await counter.count(without: ["DELETE FROM %"])
                let seconds = (ContinuousClock.now - began) / .seconds(1)
                // Each of the three loops may fall in once more than its share.
                #expect(Double(statements) <= 3 * seconds + 3)
                #expect(statements > 0, "the statements are not counted")
            }
        }
    }

    @Test("of a fresh workflow is its start, its steps and its outcome: it reads nothing", arguments: [0, 1, 7])
    func fresh(steps: Int) async throws {
        let workflow = WorkflowReference<Int, Int>("w")
        // What the executor sends on its own account, and a pooler when it lends a session to another client.
        let background = [
            "%pg_try_advisory_xact_lock%", "%IS DISTINCT FROM f.token%", "%.queues%", "%sha256%",
            "%SET reclaimed_at = %", "%named AS (%", "DELETE FROM %", "SET application_name%",
        ]
        try await Self.withCounter { database, counter in
            try await withExecutor(
                database,
                configure: {
                    $0.pollInterval = .seconds(3600)
                    $0.heartbeat = .seconds(3600)
                    $0.selfStop = .seconds(7200)
                    $0.lease = .seconds(10800)
                },
                register: {
                    try $0.register(workflow) { count, context in
                        for _ in 0..<count { try await context.step("step") { _ in } }
                        return count
                    }
                }
            ) { executor in
                _ = try await executor.client.start(workflow, 1).result()
                try await until("the executor is quiet") {
                    try await counter.reset()
                    try await Task.sleep(for: .milliseconds(300))
                    return try await counter.count(without: background) == 0
                }
                try await counter.reset()
                _ = try await executor.client.start(workflow, steps, options: .init(id: "w"))
                // Asked by the test itself: `result()` would be counted.
                try await database.until("w", is: .success)
                let statements = try await counter.count(without: background)
                #expect(statements == steps + 2)
            }
        }
    }
    @Test("of a dry run that waits grows slowly, and each answer is read once")
    func dryRun() async throws {
        let (slow, plain) = (WorkflowReference<Nothing, Nothing>("slow"), WorkflowReference<Nothing, Nothing>("plain"))
        try await Self.withCounter { database, counter in
            try await withExecutor(
                database,
                version: "v2",
                configure: { $0.replayCheckLimit = .seconds(2) },
                register: {
                    try $0.register(slow) { _, _ in
                        try await Task.sleep(for: .seconds(3600))
                        return Nothing()
                    }
                    try $0.register(plain) { _, _ in Nothing() }
                }
            ) { executor in
                for (name, count) in [("slow", 1), ("plain", 50)] {
                    try await database.query(
                        """
                        SELECT {s}.enqueue_workflow('\(name)', 'nowhere', application_name => 'test-app', app_version => 'v1')
                          FROM generate_series(1, \(count))
                        """
                    )
                }
                try await counter.reset()
                #expect(try await executor.client.checkRepin(from: "v1", to: "v2").count == 51)
                let read = try await database.query(
                    """
                    SELECT sum(calls)::int, sum(rows)::int FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
                     WHERE r.rolname = $1 AND query LIKE 'SELECT%{h}%replay_checks%'
                    """,
                    .text(counter.role)
                )
                let row = try #require(read.first)
                let (calls, rows) = (try row.int(0), try row.int(1))
                #expect(calls <= 20)
                // All answers once, and one row for each look before.
                #expect(rows == 51 + calls - 1)
            }
        }
    }
}
