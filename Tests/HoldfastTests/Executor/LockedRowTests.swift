// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastPostgres
import ServiceLifecycle
import Testing

@testable import Holdfast

/// One workflow whose row cannot be written, among others whose rows can.
@Suite("A workflow's row that somebody else holds or refuses", .timeLimit(.minutes(5)))
struct LockedRowTests {
    /// Runs workflows `w0` … `w3`, each with a step that waits at a door, until all stand there.
    private static func withFour(
        configure: (inout HoldfastExecutor.Configuration) -> Void = { _ in },
        _ test: @Sendable (Scenario<Int, Int>, Door, [WorkflowHandle<Int>]) async throws -> Void
    ) async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow(configure: configure) { (number: Int, context) async throws -> Int in
            try await context.step("first") { _ in
                diary.note("begun")
                try await door.pass()
            }
            return try await context.step("second") { _ in number }
        } test: { scenario in
            defer { door.open() }
            var handles: [WorkflowHandle<Int>] = []
            for number in 0..<4 { handles.append(try await scenario.start(number, id: "w\(number)")) }
            try await diary.until("begun", happened: 4)
            try await test(scenario, door, handles)
        }
    }

    private static let lock = "SELECT 1 FROM {s}.workflow_status WHERE workflow_uuid = 'w0' FOR UPDATE"

    @Test("keeps no other workflow from its checkpoints and its outcome, and goes on when it is free")
    func locked() async throws {
        try await Self.withFour { scenario, door, handles in
            try await scenario.database.holding(Self.lock) {
                door.open()
                for number in 1...3 { try await scenario.database.until("w\(number)", is: .success) }
                #expect(try await scenario.database.status(of: "w0") == "PENDING")
                // New work passes as well, also that of a parent.
                #expect(try await scenario.run(7, id: "w7") == 7)
            }
            for (number, handle) in handles.enumerated() { #expect(try await handle.result() == number) }
            #expect(try await scenario.journal(of: "w0") == ["1 first null", "2 second 0"])
        }
    }

    @Test("keeps none from its queue when the executor stops: only the locked one is left to its peers")
    func shutdown() async throws {
        try await TestDatabase.with { database in
            let workflow = WorkflowReference<Int, Int>("w")
            try await withClient(database) { client in
                let service = try makeExecutor(
                    database,
                    id: "one",
                    queues: [Queue("q")],
                    configure: { $0.shutdownGracePeriod = .milliseconds(10) },
                    register: {
                        try $0.register(workflow) { number, context in
                            try await context.sleep(for: .seconds(3600))
                            return number
                        }
                    }
                )
                for number in 0..<4 {
                    _ = try await client.enqueue(workflow, number, on: "q", options: .init(id: "w\(number)"))
                }
                try await withService(service) { group in
                    try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 4)
                    try await database.holding(Self.lock) {
                        await group.triggerGracefulShutdown()
                        try await database.until("SELECT count(*) FROM {h}.executors WHERE state = 'stopped'", is: 1)
                        let states = try await database.query(
                            "SELECT status || recovery_attempts FROM {s}.workflow_status ORDER BY workflow_uuid"
                        )
                        let found = try states.map { try $0.string(0) }
                        #expect(found == ["PENDING1", "ENQUEUED0", "ENQUEUED0", "ENQUEUED0"])
                    }
                }
                // Whoever looks at the list of the ended finds that this one still owns something, or did a moment ago.
                let open = try await database.count(
                    "SELECT count(*) FROM {h}.executors WHERE state = 'stopped' AND reclaimed_at IS NULL"
                )
                #expect(open == 1)
                // Nobody died: no strike and no attempt.
                try await withExecutor(database, id: "two", register: { _ in }) { _ in
                    try await database.until("SELECT count(*) FROM {h}.takeovers WHERE reason = 'shutdown'", is: 1)
                    #expect(try await database.count("SELECT strikes FROM {h}.takeovers") == 0)
                    let attempts = "SELECT max(recovery_attempts)::int4 FROM {s}.workflow_status"
                    #expect(try await database.count(attempts) == 0)
                }
            }
        }
    }

    @Test("keeps no other workflow from its checkpoints when a trigger refuses it, and goes on when that is over")
    func refused() async throws {
        try await Self.withFour { scenario, door, handles in
            let database = scenario.database
            try await database.query(
                """
                CREATE FUNCTION {h}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF NEW.workflow_uuid = 'w0' THEN RAISE EXCEPTION 'not this one'; END IF;
                  RETURN NEW;
                END $$
                """
            )
            try await database.query(
                """
                CREATE TRIGGER refuse BEFORE INSERT ON {s}.operation_outputs
                   FOR EACH ROW EXECUTE FUNCTION {h}.refuse()
                """
            )
            door.open()
            let result: Result<Void, any Error>
            do {
                for number in 1...3 { try await database.until("w\(number)", is: .success) }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try await database.query("DROP FUNCTION {h}.refuse CASCADE")
            try result.get()
            for (number, handle) in handles.enumerated() { #expect(try await handle.result() == number) }
        }
    }

    @Test("of a start keeps no other start waiting, also not one by a client without an executor")
    func start() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, register: { _ in }) { _ in }
            try await withClient(database) { client in
                let workflow = WorkflowReference<Nothing, Nothing>("w")
                func enqueue(_ id: WorkflowID) async throws {
                    _ = try await client.enqueue(workflow, Nothing(), on: "nobody", options: .init(id: id))
                }
                try await enqueue("held")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    try await database.holding("DELETE FROM {s}.workflow_status") {
                        group.addTask { try await enqueue("held") }
                        try await database.untilBlocked("WITH rows AS%")
                        try await enqueue("free")
                        #expect(try await database.status(of: "free") == "ENQUEUED")
                    }
                    try await group.waitForAll()
                }
                #expect(try await database.status(of: "held") == "ENQUEUED")
            }
        }
    }

    @Test("keeps no execution from its end when the executor stops itself: what it was still to write is refused")
    func fenced() async throws {
        try await Self.withFour { scenario, door, handles in
            try await scenario.database.holding(Self.lock) {
                door.open()
                for number in 1...3 { try await scenario.database.until("w\(number)", is: .success) }
                // As an operator would who takes it away from the executor.
                try await scenario.database.query(
                    "UPDATE {h}.executors SET state = 'dead', ended_at = now(), ended_by = 'test', end_reason = 'lease_expired'"
                )
                try await scenario.database.until(
                    "SELECT count(*) FROM {h}.executors WHERE state = 'active' AND running = 0",
                    is: 1
                )
            }
        }
    }

    @Test("makes orders to it fail after some seconds, with its name, and keeps no checkpoint waiting meanwhile")
    func orders() async throws {
        try await Self.withFour { scenario, door, handles in
            let database = scenario.database
            let client = scenario.client
            let held = try await scenario.enqueue(5, on: "nobody", .init(id: "held"))
            _ = try await scenario.enqueue(6, on: "nobody", .init(id: "free"))
            try await database.query(
                "UPDATE {s}.workflow_status SET status = 'PENDING', owner_xid = 'token' WHERE workflow_uuid = 'held'"
            )
            func refused(_ order: @escaping @Sendable () async throws -> Void) async {
                let error = await #expect(throws: HoldfastError.self) { try await order() }
                #expect(error?.code.name == "Locked")
                #expect(error?.message.contains("workflow 'held'") == true, "\(error?.message ?? "")")
                #expect(error?.message.contains("'free'") == false)
                #expect(error?.message.contains("pg_stat_activity") == true)
            }
            let lock = "SELECT 1 FROM {s}.workflow_status WHERE workflow_uuid = 'held' FOR UPDATE"
            try await database.holding(lock) {
                await withTaskGroup(of: Void.self) { group in
                    // As many as the executor has connections.
                    for _ in 0..<8 {
                        group.addTask { await refused { _ = try await client.cancel(["held"]) } }
                    }
                    group.addTask { await refused { _ = try await client.resume(["free", "held"]) } }
                    group.addTask {
                        do {
                            try await database.untilBlocked("UPDATE%{s}%workflow_status%CANCELLED%")
                            door.open()
                            for (number, handle) in handles.enumerated() {
                                #expect(try await handle.result() == number)
                            }
                        } catch {
                            Issue.record(error)
                        }
                    }
                }
                let database = scenario.executor.host.database
                let error = await #expect(throws: PostgresError.self) {
                    try await database.deadLetter("held", token: "token")
                }
                // Whoever gives it up tries again.
                #expect(error?.isLockTimeout == true && error?.isWorthRepeating == true)
            }
            #expect(try await held.status() == .pending)
            try await client.cancel("held")
            #expect(try await held.status() == .cancelled)
            #expect(try await database.status(of: "free") == "ENQUEUED")
        }
    }

    @Test("of a version makes its promotion fail after some seconds")
    func promotion() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, register: { _ in }) { executor in
                try await database.holding("SELECT 1 FROM {s}.application_versions FOR UPDATE") {
                    let error = await #expect(throws: HoldfastError.self) {
                        try await executor.client.makeLatest("v1")
                    }
                    #expect(error?.code.name == "Locked")
                }
                try await executor.client.makeLatest("v1")
            }
        }
    }
}
