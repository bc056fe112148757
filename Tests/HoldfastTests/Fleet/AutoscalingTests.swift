// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("The view that autoscalers read", .timeLimit(.minutes(5)))
struct AutoscalingTests {
    private static func withTables(fresh: Bool = false, _ body: (TestDatabase) async throws -> Void) async throws {
        try await TestDatabase.with(fresh: fresh) { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            try await body(database)
        }
    }

    /// `version: desired_executors`, with the application where it is not `app`; `-` stands for none.
    static func desired(_ database: TestDatabase) async throws -> [String: Int] {
        var desired: [String: Int] = [:]
        for row in try await database.query(
            """
            SELECT CASE WHEN application_name = 'app' THEN '' ELSE coalesce(application_name, '-') || '/' END
                   || coalesce(application_version, '-'), desired_executors FROM {h}.autoscaling
            """
        ) {
            desired[try row.string(0)] = try row.int(1)
        }
        return desired
    }

    /// Puts `count` workflows into the table; the columns are named as they are there.
    static func insert(
        _ count: Int,
        _ status: String,
        version: String?,
        application: String? = "app",
        queue: String? = nil,
        token: String? = nil,
        delay: Double? = nil,
        in database: TestDatabase
    ) async throws {
        try await database.query(
            """
            INSERT INTO {s}.workflow_status (workflow_uuid, status, name, application_version, application_name, queue_name,
              owner_xid, delay_until_epoch_ms)
            SELECT gen_random_uuid()::text, $2, 'n', $3, $4, $5, $6, (extract(epoch FROM now() + $7 * interval '1 s') * 1000)::int8
              FROM generate_series(1, $1)
            """,
            .int4(Int32(count)),
            .text(status),
            .text(version),
            .text(application),
            .text(queue),
            .text(token),
            .double(delay)
        )
    }

    static func insertMember(
        _ number: Int,
        version: String = "v1",
        state: String = "active",
        capacity: Int = 10,
        running: Int = 0,
        lease: Double = 600,
        in database: TestDatabase
    ) async throws {
        try await database.query(
            """
            INSERT INTO {h}.executors (incarnation, executor_id, application_name, application_version, state, host, pid,
              capacity, running, lease_ms, renewed_at, lease_expires_at, lock_key)
            VALUES (lpad($1, 16, '0'), $1, 'app', $2, $3, 'h', 1, $4, $5, 10000, now(), now() + $6 * interval '1 s', 1)
            """,
            .text("\(number)"),
            .text(version),
            .text(state),
            .int4(Int32(capacity)),
            .int4(Int32(running)),
            .double(lease)
        )
    }

    static func register(_ versions: String..., in database: TestDatabase) async throws {
        for (index, version) in versions.enumerated() {
            try await database.query(
                """
                INSERT INTO {s}.application_versions (version_id, version_name, version_timestamp, application_name)
                VALUES ($1, $1, $2, 'app')
                """,
                .text(version),
                .int8(Int64(index + 1))
            )
        }
    }

    @Test("counts all open work, and works without any executor")
    func noExecutors() async throws {
        try await Self.withTables { database in
            #expect(try await Self.desired(database) == [:])
            try await Self.insert(1, "ENQUEUED", version: "v1", in: database)
            try await Self.insert(257, "PENDING", version: "v2", token: "gone", in: database)
            try await Self.insert(1, "DELAYED", version: "v3", delay: 30, in: database)
            try await Self.insert(1, "DELAYED", version: "v4", delay: 3600, in: database)
            try await Self.insert(5, "SUCCESS", version: "v5", in: database)
            #expect(try await Self.desired(database) == ["v1": 1, "v2": 2, "v3": 1, "v4": 0])
            // An executor is said to hold 256 as long as none has ever said otherwise; the latest to say so is believed.
            try await Self.insertMember(1, state: "stopped", in: database)
            try await Self.insertMember(2, version: "v2", state: "dead", capacity: 100, in: database)
            #expect(try await Self.desired(database) == ["v1": 1, "v2": 3, "v3": 1, "v4": 0])
        }
    }

    @Test("gives work without a version to the latest, and shows it when there is none")
    func unversioned() async throws {
        try await Self.withTables { database in
            try await Self.insert(1, "ENQUEUED", version: nil, in: database)
            #expect(try await Self.desired(database) == ["-": 1])
            try await Self.register("v1", "v2", in: database)
            #expect(try await Self.desired(database) == ["v1": 0, "v2": 1])
            // Nor does work that names no application get lost: whoever has its version may run it.
            try await Self.insert(300, "ENQUEUED", version: nil, application: nil, in: database)
            try await Self.insert(1, "ENQUEUED", version: "v1", application: nil, in: database)
            try await Self.insert(1, "ENQUEUED", version: "v0", application: nil, in: database)
            try await Self.insert(1, "ENQUEUED", version: nil, application: "other", in: database)
            #expect(try await Self.desired(database) == ["v1": 1, "v2": 2, "-/v0": 1, "other/-": 2])
        }
    }

    @Test("keeps one executor for work that sleeps, not one per so much of it")
    func waiting() async throws {
        try await Self.withTables { database in
            let token = String(repeating: "0", count: 15) + "1-token"
            try await Self.insertMember(1, running: 15, in: database)
            try await Self.insert(1000, "PENDING", version: "v1", token: token, in: database)
            #expect(try await Self.desired(database) == ["v1": 2])
            let row = try #require(
                try await database.query("SELECT pending, waiting, demand, live_executors FROM {h}.autoscaling").first
            )
            #expect(try (0..<4).map { try row.int($0) } == [1000, 985, 15, 1])
            try await database.query("UPDATE {h}.executors SET running = 0")
            #expect(try await Self.desired(database) == ["v1": 1])
            // After a restart of Postgres every lease looks expired for a moment. That is no reason to start a hundred.
            try await database.query("UPDATE {h}.executors SET lease_expires_at = now() - interval '1 s'")
            #expect(try await Self.desired(database) == ["v1": 1])
            #expect(try await database.count("SELECT live_executors FROM {h}.autoscaling") == 0)
            // Nobody knows what the work of the dead does.
            try await database.query("UPDATE {h}.executors SET state = 'dead'")
            #expect(try await Self.desired(database) == ["v1": 100])
        }
    }

    @Test("minds the limits of queues")
    func limits() async throws {
        try await Self.withTables { database in
            try await Self.insertMember(1, version: "any", in: database)
            try await database.query(
                """
                INSERT INTO {s}.queues (name, worker_concurrency, concurrency)
                VALUES ('narrow', 2, NULL), ('wide', 50, NULL), ('shared', NULL, 25), ('both', 4, 9), ('closed', 0, 0)
                """
            )
            for queue in ["narrow", "wide", "shared", "both", "closed", "unknown"] {
                try await Self.insert(101, "ENQUEUED", version: queue, queue: queue, in: database)
            }
            let desired = [
                "any": 0, "narrow": 51, "wide": 11, "shared": 3, "both": 3, "closed": 1, "unknown": 11,
            ]
            #expect(try await Self.desired(database) == desired)
            // Several queues of one version: the greater of what one of them and what all of them need.
            try await Self.insert(3, "ENQUEUED", version: "mixed", queue: "narrow", in: database)
            try await Self.insert(40, "PENDING", version: "mixed", queue: "wide", in: database)
            #expect(try await Self.desired(database)["mixed"] == 5)
            try await Self.insert(10, "ENQUEUED", version: "mixed", queue: "narrow", in: database)
            #expect(try await Self.desired(database)["mixed"] == 7)
        }
    }

    @Test("costs what the open work costs, however much is finished")
    func plan() async throws {
        try await Self.withTables(fresh: true) { database in
            try await Self.insert(100_000, "SUCCESS", version: "v1", in: database)
            try await Self.insert(50, "ENQUEUED", version: "v1", in: database)
            try await Self.insert(50, "PENDING", version: "v1", in: database)
            try await Self.insert(50, "DELAYED", version: "v1", delay: 1, in: database)
            try await database.query("ANALYZE {s}.workflow_status")
            let query = HoldfastSchema.autoscalingFigures(in: try database.configuration.names())
            let plan = try await database.query("EXPLAIN (ANALYZE, COSTS OFF) \(query)").map { try $0.string(0) }
            let text = plan.joined(separator: "\n")
            #expect(!text.contains("Seq Scan on workflow_status"), "\(text)")
            for index in ["idx_workflow_status_in_flight_v2", "idx_workflow_status_delayed"] {
                #expect(text.contains(index), "\(text)")
            }
            #expect(
                try await database.count("SELECT demand FROM {h}.autoscaling WHERE application_name = 'app'") == 150
            )
        }
    }

    @Test("hears from executors how many of their workflows only wait")
    func executorsSayWhatWaits() async throws {
        let sleeper = WorkflowReference<Nothing, Nothing>("sleeper")
        try await TestDatabase.with { database in
            try await withExecutor(
                database,
                application: "app",
                queues: [Queue("q")],
                configure: {
                    $0.maxConcurrentWorkflows = 1
                    $0.heartbeat = .milliseconds(50)
                }
            ) { registry in
                try registry.register(sleeper) { _, context in
                    try await context.sleep(for: .seconds(3600))
                    return Nothing()
                }
            } _: { executor in
                for _ in 0..<3 { _ = try await executor.client.enqueue(sleeper, Nothing(), on: "q") }
                try await database.until("SELECT waiting FROM {h}.autoscaling", is: 3)
                #expect(try await Self.desired(database) == ["v1": 1])
                try await database.until("SELECT demand FROM {h}.autoscaling", is: 0)
                try await until("nothing runs") { try await executor.client.fleet().map(\.running) == [0] }
            }
        }
    }
}
