// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import ServiceLifecycle
import Testing

@Suite("The shutdown of an executor", .timeLimit(.minutes(5)))
struct ShutdownTests {
    private static let workflow = WorkflowReference<Nothing, Int>("w")

    @Test("lets a running step reach its checkpoint and hands the workflow back; the next executor goes on from there")
    func graceful() async throws {
        let diary = Diary()
        let door = Door()
        @Sendable func register(_ registry: inout WorkflowRegistry) throws {
            try registry.register(Self.workflow) { _, context in
                let number = try await context.step("long") { _ in
                    diary.note("long")
                    try await door.pass()
                    return 20
                }
                return try await context.step("after") { _ in
                    diary.note("after")
                    return number + 1
                }
            }
        }
        try await TestDatabase.with { database in
            let first = try makeExecutor(database, id: "first", queues: [Queue("q")], register: register)
            try await withService(first) { group in
                try await first.waitUntilReady()
                _ = try await first.client.enqueue(Self.workflow, Nothing(), on: "q", options: .init(id: "w"))
                try await diary.until("long")
                await group.triggerGracefulShutdown()
                try await database.until("SELECT count(*) FROM {h}.executors WHERE state = 'draining'", is: 1)
                door.open()
            }
            #expect(diary.events == ["long"])
            let row = try #require(
                try await database.query(
                    """
                    SELECT status, queue_name, recovery_attempts, owner_xid IS NULL,
                           (SELECT count(*) FROM {s}.operation_outputs) FROM {s}.workflow_status
                    """
                ).first
            )
            #expect(try row.string(0) == "ENQUEUED")
            #expect(try row.string(1) == "q")
            #expect(try row.int(2) == 0)
            #expect(try row.bool(3))
            #expect(try row.int(4) == 1)
            let state = try await database.count(
                "SELECT count(*) FROM {h}.executors WHERE state = 'stopped' AND reclaimed_at IS NOT NULL"
            )
            #expect(state == 1)

            try await withExecutor(database, id: "second", queues: [Queue("q")], register: register) { second in
                let result = try await second.client.retrieve("w", as: Int.self).result()
                #expect(result == 21)
                let attempts = try await second.client.workflow("w").recoveryAttempts
                #expect(attempts == 1)
                let takeovers = try await second.client.takeovers(of: "w")
                #expect(takeovers.isEmpty)
            }
            #expect(diary.events == ["long", "after"])
        }
    }

    @Test("hands back at once what sleeps or waits, and what is between two steps")
    func sleeping() async throws {
        try await TestDatabase.with { database in
            let executor = try makeExecutor(database, configure: { $0.shutdownGracePeriod = .seconds(600) }) {
                try $0.register(Self.workflow) { _, context in
                    try await context.sleep(for: .seconds(3600))
                    return 1
                }
                try $0.register(WorkflowReference<Nothing, Nothing>("waits")) { _, _ in
                    try await Door().pass()
                    return Nothing()
                }
            }
            try await withService(executor) { _ in
                try await executor.waitUntilReady()
                _ = try await executor.client.start(Self.workflow, Nothing())
                _ = try await executor.client.start(WorkflowReference<Nothing, Nothing>("waits"), Nothing())
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 1)
            }
            let rows = try await database.count(
                """
                SELECT count(*) FROM {s}.workflow_status WHERE status = 'ENQUEUED' AND recovery_attempts = 0
                    AND queue_name = '_dbos_internal_queue'
                """
            )
            #expect(rows == 2)
        }
    }

    @Test(
        "does not wait longer than the grace period for code that ignores it; its workflow is handed back all the same"
    )
    func stubborn() async throws {
        let diary = Diary()
        let door = Door()
        defer { door.open() }
        try await TestDatabase.with { database in
            let executor = try makeExecutor(database, configure: { $0.shutdownGracePeriod = .milliseconds(50) }) {
                try $0.register(Self.workflow) { _, context in
                    try await context.step("stubborn") { _ in
                        diary.note("begun")
                        await door.passStubbornly()
                        diary.note("ended")
                        return 1
                    }
                }
            }
            try await withService(executor) { _ in
                try await executor.waitUntilReady()
                _ = try await executor.client.start(Self.workflow, Nothing(), options: .init(id: "w"))
                try await diary.until("begun")
            }
            #expect(diary.events == ["begun"])
            let status = try await database.status(of: "w")
            #expect(status == "ENQUEUED")
            // When the code ends at last, nothing comes of it.
            door.open()
            try await diary.until("ended")
            let rows = try await database.count("SELECT count(*) FROM {s}.operation_outputs")
            #expect(rows == 0)
        }
    }

    @Test("is not taken for a death while the database is slow to take the work back")
    func slowLeave() async throws {
        let diary = Diary()
        let door = Door()
        defer { door.open() }
        try await TestDatabase.with(fresh: true) { database in
            func executor(_ id: ExecutorID) throws -> HoldfastExecutor {
                try makeExecutor(database, id: id) { configuration in
                    configuration.shutdownGracePeriod = .milliseconds(50)
                    configuration.heartbeat = .milliseconds(100)
                } register: { registry in
                    try registry.register(Self.workflow) { _, context in
                        try await context.step("stubborn") { _ in
                            diary.note("begun")
                            await door.passStubbornly()
                            return 1
                        }
                    }
                }
            }
            let (first, second) = (try executor("first"), try executor("second"))
            try await withService(second) { _ in
                try await second.waitUntilReady()
                try await withService(first) { _ in
                    try await first.waitUntilReady()
                    _ = try await first.client.start(Self.workflow, Nothing(), options: .init(id: "w"))
                    try await diary.until("begun")
                    // Its code ignores the end of the grace period, so the executor's last act gives it back: slowly, and
                    // that is many heartbeats of its peer.
                    try await database.query(
                        """
                        CREATE FUNCTION {s}.dawdle() RETURNS trigger LANGUAGE plpgsql AS
                          'BEGIN PERFORM pg_sleep(3); RETURN NEW; END'
                        """
                    )
                    try await database.query(
                        """
                        CREATE TRIGGER dawdle BEFORE UPDATE ON {s}.workflow_status FOR EACH ROW
                          WHEN (OLD.status = 'PENDING' AND NEW.status = 'ENQUEUED') EXECUTE FUNCTION {s}.dawdle()
                        """
                    )
                    if database.hasSession {
                        try await database.until(
                            "SELECT count(*) FROM {h}.executors WHERE session_server_epoch IS NOT NULL",
                            is: 2
                        )
                    }
                }
                let state = try await database.query(
                    "SELECT state FROM {h}.executors WHERE executor_id = 'first'"
                ).first?.string(0)
                #expect(state == "stopped")
                #expect(try await second.client.takeovers(of: "w").isEmpty)
            }
        }
    }

    @Test("by cancelling run() skips the grace period and leaves in good order")
    func cancelled() async throws {
        let diary = Diary()
        let door = Door()
        defer { door.open() }
        try await TestDatabase.with { database in
            let executor = try makeExecutor(database, configure: { $0.shutdownGracePeriod = .seconds(600) }) {
                try $0.register(Self.workflow) { _, context in
                    try await context.step("long") { _ in
                        diary.note("begun")
                        await door.passStubbornly()
                        return 1
                    }
                }
            }
            let run = Task { try await executor.run() }
            try await executor.waitUntilReady()
            _ = try await executor.client.start(Self.workflow, Nothing(), options: .init(id: "w"))
            try await diary.until("begun")
            run.cancel()
            try await run.value
            let status = try await database.status(of: "w")
            #expect(status == "ENQUEUED")
            let state = try await database.count("SELECT count(*) FROM {h}.executors WHERE state = 'stopped'")
            #expect(state == 1)
        }
    }

    @Test("turns new work away to the others")
    func startsMeanwhile() async throws {
        let diary = Diary()
        let door = Door()
        try await TestDatabase.with { database in
            let executor = try makeExecutor(
                database,
                queues: [Queue("q")],
                register: { registry in
                    try registry.register(Self.workflow) { _, context in
                        try await context.step("long") { _ in
                            diary.note("begun")
                            try await door.pass()
                            return 1
                        }
                    }
                }
            )
            try await withService(executor) { group in
                try await executor.waitUntilReady()
                _ = try await executor.client.start(Self.workflow, Nothing(), options: .init(id: "first"))
                try await diary.until("begun")
                await group.triggerGracefulShutdown()
                try await database.until("SELECT count(*) FROM {h}.executors WHERE state = 'draining'", is: 1)
                _ = try await executor.client.start(Self.workflow, Nothing(), options: .init(id: "direct"))
                _ = try await executor.client.enqueue(Self.workflow, Nothing(), on: "q", options: .init(id: "queued"))
                try await database.until("direct", is: .enqueued)
                door.open()
            }
            #expect(diary.events == ["begun"])
            let waiting = try await database.count(
                "SELECT count(*) FROM {s}.workflow_status WHERE status = 'ENQUEUED' AND recovery_attempts = 0"
            )
            #expect(waiting == 3)
        }
    }
}
