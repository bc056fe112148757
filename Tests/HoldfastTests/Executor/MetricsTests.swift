// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastTestKit
import MetricsTestKit
import Testing

@Suite("The metrics of an executor", .timeLimit(.minutes(5)))
struct MetricsTests {
    private static let sleeper = WorkflowReference<Nothing, Nothing>("sleeper")

    private static func register(_ registry: inout WorkflowRegistry) throws {
        try registry.register(Self.sleeper) { _, context in
            try await context.sleep(for: .seconds(3600))
            return Nothing()
        }
    }

    private static func total(_ metrics: TestMetrics, _ label: String, _ dimensions: (String, String)...) -> Int64 {
        metrics.counterTotal(
            label: "holdfast_\(label)",
            dimensions: [("application", "test-app")] + dimensions
        )
    }

    /// An executor that has ended or will be found dead, with running work under which so many have died before.
    private static func bury(_ database: TestDatabase, _ id: String, state: String, strikes: [Int]) async throws {
        try await database.query(
            """
            INSERT INTO {h}.executors (incarnation, executor_id, application_name, application_version, state, host, pid,
                                       capacity, lease_ms, renewed_at, lease_expires_at, lock_key, ended_at, end_reason)
            VALUES (lpad('\(id)', 16, '0'), '\(id)', 'test-app', 'v1', '\(state)', 'h', 1, 8, 1000, now() - interval '1 min',
                    now() - interval '1 min', 1, CASE '\(state)' WHEN 'dead' THEN now() END,
                    CASE '\(state)' WHEN 'dead' THEN 'session_lost' END)
            """
        )
        for (index, deaths) in strikes.enumerated() {
            try await database.query(
                """
                INSERT INTO {s}.workflow_status (workflow_uuid, status, name, application_name, application_version,
                                                 executor_id, owner_xid, queue_name, serialization, recovery_attempts)
                VALUES ('\(id)-\(index)', 'PENDING', 'unknown', 'test-app', 'v1', '\(id)', lpad('\(id)', 16, '0') || '-t',
                        'nowhere', 'portable_json', \(deaths + 1))
                """
            )
            try await database.query(
                """
                INSERT INTO {h}.takeovers (workflow_uuid, from_executor_id, from_incarnation, by_executor_id,
                                           by_incarnation, application_version, reason)
                SELECT '\(id)-\(index)', 'x', 'x', 'y', 'y', 'v1', 'session_lost' FROM generate_series(1, \(deaths))
                """
            )
        }
    }

    @Test("count what was taken over by what became of it, what was given up, and who was declared dead")
    func takeovers() async throws {
        let metrics = TestMetrics()
        try await TestDatabase.with { database in
            try await Self.bury(database, "gone", state: "dead", strikes: [0, 0, 1, 2])
            // Of their own: none is given up beside another that has as many strikes.
            try await Self.bury(database, "gone too", state: "dead", strikes: [2])
            try await Self.bury(database, "gone as well", state: "dead", strikes: [2])
            try await Self.bury(database, "silent", state: "active", strikes: [0])
            try await withExecutor(
                database,
                configure: {
                    $0.metrics = metrics
                    $0.quarantineAfter = 2
                    $0.heartbeat = .milliseconds(100)
                    $0.selfStop = .seconds(2)
                    $0.lease = .seconds(3)
                },
                register: Self.register
            ) { _ in
                try await database.until("SELECT count(*) FROM {s}.workflow_status WHERE status = 'PENDING'", is: 0)
                try await until("the counters") {
                    Self.total(metrics, "workflows_reclaimed", ("decision", "requeued")) == 3
                }
                #expect(Self.total(metrics, "workflows_reclaimed", ("decision", "delayed")) == 1)
                #expect(Self.total(metrics, "workflows_reclaimed", ("decision", "quarantined")) == 3)
                #expect(Self.total(metrics, "workflows_dead_lettered", ("workflow", "unknown")) == 3)
                #expect(Self.total(metrics, "executors_declared_dead", ("reason", "lease_expired")) == 1)
                #expect(metrics.counterTotal(label: "holdfast_executors_declared_dead") == 1)
            }
        }
    }

    @Test("count renewals that fail, time the others, and count what a shutdown hands back")
    func renewals() async throws {
        let metrics = TestMetrics()
        try await TestDatabase.with { database in
            try await withExecutor(
                database,
                configure: {
                    $0.metrics = metrics
                    $0.heartbeat = .milliseconds(100)
                    // Renewals fail for a while, which must not stop it.
                    $0.selfStop = .seconds(600)
                    $0.lease = .seconds(601)
                },
                register: Self.register
            ) { executor in
                try await until("a renewal") {
                    metrics.timers(
                        label: "holdfast_renewal_duration",
                        dimensions: [("application", "test-app")]
                    ).contains { $0.values.count > 1 }
                }
                #expect(Self.total(metrics, "renewals_failed") == 0)
                try await database.query("ALTER TABLE {h}.executors RENAME COLUMN running TO hidden")
                try await until("a failure") { Self.total(metrics, "renewals_failed") > 0 }
                try await database.query("ALTER TABLE {h}.executors RENAME COLUMN hidden TO running")
                for _ in 0..<3 { _ = try await executor.client.start(Self.sleeper, Nothing()) }
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 3)
                #expect(Self.total(metrics, "workflows_handed_back") == 0)
            }
            #expect(Self.total(metrics, "workflows_handed_back") == 3)
        }
    }

    @Test("count an outcome that is refused as an interruption, and do not time it")
    func refusedOutcomes() async throws {
        let metrics = TestMetrics()
        let reference = WorkflowReference<Bool, Nothing>("robbed")
        try await TestDatabase.with { database in
            try await withExecutor(
                database,
                configure: { $0.metrics = metrics },
                register: { registry in
                    try registry.register(reference) { isRobbed, context in
                        if isRobbed {
                            try await database.query(
                                """
                                UPDATE {s}.workflow_status SET owner_xid = 'somebody', executor_id = 'else'
                                 WHERE workflow_uuid = '\(context.id)'
                                """
                            )
                        }
                        return Nothing()
                    }
                }
            ) { executor in
                _ = try await executor.client.start(reference, true)
                try await until("the interruption") {
                    Self.total(
                        metrics,
                        "workflows_interrupted",
                        ("workflow", "robbed"),
                        ("reason", "lostOwnership")
                    ) == 1
                }
                _ = try await executor.client.start(reference, false).result()
                try await until("the other one") {
                    Self.total(metrics, "workflows_finished", ("workflow", "robbed"), ("outcome", "success")) == 1
                }
                let timer = try metrics.expectTimer(
                    "holdfast_workflow_duration",
                    [("application", "test-app"), ("workflow", "robbed")]
                )
                try await until("its time") { timer.values.count == 1 }
                #expect(metrics.counterTotal(label: "holdfast_workflows_finished") == 1)
            }
        }
    }

    @Test("show stranded work by version, the most important ones, until there is none")
    func stranded() async throws {
        let metrics = TestMetrics()
        @Sendable func gauge(_ version: String) throws -> TestRecorder {
            try metrics.expectGauge(
                "holdfast_workflows_stranded",
                [("application", "test-app"), ("version", version)]
            )
        }
        try await TestDatabase.with { database in
            for version in 1...25 {
                try await database.query(
                    """
                    SELECT {s}.enqueue_workflow('w', 'nowhere', application_name => 'test-app', app_version => 'old-\(version)')
                      FROM generate_series(1, \(version))
                    """
                )
            }
            let clock = ManualClock()
            try await withExecutor(
                database,
                configure: {
                    $0.metrics = metrics
                    $0.use(clock)
                },
                register: Self.register
            ) { _ in
                try await until("stranded work is told of") { (try? gauge("other"))?.lastValue == 15 }
                #expect(metrics.recorders(label: "holdfast_workflows_stranded").count == 21)
                let last = try gauge("old-25")
                #expect(last.lastValue == 25)
                #expect(throws: (any Error).self) { try gauge("old-5") }
                try await database.query("UPDATE {s}.workflow_status SET status = 'CANCELLED'")
                try await until("it is gone") {
                    metrics.recorders(label: "holdfast_workflows_stranded").isEmpty
                }
                #expect(last.lastValue == 0)
            }
        }
    }
}
