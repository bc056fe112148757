// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

/// The plan of the test worker's workflow `effects`.
struct Plan: Codable, Sendable {
    var steps: Int
    var gates: [Int] = []
}

let effects = WorkflowReference<Plan, Int>("effects")
let noop = WorkflowReference<Nothing, Nothing>("noop")

/// A client of the test workers' application.
func withClient<R>(_ database: TestDatabase, _ body: (HoldfastClient) async throws -> R) async throws -> R {
    let client = try HoldfastClient(
        database: database.configuration,
        applicationName: "test-app",
        logger: TestDatabase.logger
    )
    let result: Result<R, any Error>
    do { result = .success(try await body(client)) } catch { result = .failure(error) }
    await client.close()
    return try result.get()
}

@Suite("An executor that is killed", .timeLimit(.minutes(3)))
struct KilledExecutorTests {
    @Test("between a step's effect and its checkpoint: the step runs again, once")
    func betweenEffectAndCheckpoint() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("one", database, folder)
                let second = try WorkerProcess("two", database, folder)
                try await WorkerProcess.with([first, second]) {
                    try await withClient(database) { client in
                        let handle = try await client.enqueue(
                            effects,
                            Plan(steps: 3, gates: [2]),
                            on: "work",
                            options: .init(id: "w")
                        )
                        try await folder.until("effect w 2")
                        let owner = try await client.workflow("w").executorID
                        let victim = owner == "one" ? first : second
                        await victim.killNow()
                        try await folder.until("effect w 2", happened: 2)
                        folder.open("w-2")
                        let result = try await handle.result()
                        #expect(result == 3)
                        #expect(folder.count("effect w 1") == 1)
                        #expect(folder.count("effect w 2") == 2)
                        #expect(folder.count("effect w 3") == 1)
                        let takeovers = try await client.takeovers(of: "w")
                        #expect(takeovers.map(\.from) == [owner])
                        // Behind a pooler there is no session to watch, unless there is a way past it.
                        let hasSession = !database.configuration.isPooled || database.configuration.directURL != nil
                        #expect(takeovers.map(\.reason) == [hasSession ? "session_lost" : "lease_expired"])
                        #expect(try await client.workflow("w").recoveryAttempts == 2)
                    }
                }
            }
        }
    }

    @Test("after a checkpoint: the completed steps are not run again")
    func afterCheckpoint() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("one", database, folder)
                try await WorkerProcess.with([first]) {
                    try await withClient(database) { client in
                        let handle = try await client.enqueue(
                            WorkflowReference<Int, Int>("sleepy"),
                            1500,
                            on: "work",
                            options: .init(id: "w")
                        )
                        // The sleep's own record is the second checkpoint.
                        try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 2)
                        await first.killNow()
                        let second = try WorkerProcess("two", database, folder)
                        try await WorkerProcess.with([second]) {
                            let result = try await handle.result()
                            #expect(result == 1500)
                            #expect(folder.count("effect w 1") == 1)
                            #expect(folder.count("effect w 2") == 1)
                            #expect(folder.lines().last?.hasPrefix("effect w 2 two ") == true)
                        }
                    }
                }
            }
        }
    }

    @Test("and started again in the same slot: the new life takes over at once")
    func sameSlot() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                // A lease of a minute: only the new incarnation can prove the old one dead in time.
                let timing = WorkerProcess.Timing(heartbeat: 200, selfStop: 50_000, lease: 60_000)
                let first = try WorkerProcess("slot", database, folder, timing: timing)
                try await WorkerProcess.with([first]) {
                    try await withClient(database) { client in
                        let handle = try await client.enqueue(
                            effects,
                            Plan(steps: 1, gates: [1]),
                            on: "work",
                            options: .init(id: "w")
                        )
                        try await folder.until("effect w 1")
                        await first.killNow()
                        let second = try WorkerProcess("slot", database, folder, timing: timing)
                        try await WorkerProcess.with([second]) {
                            folder.open("w-1")
                            let result = try await handle.result()
                            #expect(result == 1)
                            #expect(try await client.takeovers(of: "w").map(\.reason) == ["superseded"])
                        }
                    }
                }
            }
        }
    }

    @Test("frozen beyond its lease, it writes nothing after it wakes")
    func frozen() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("one", database, folder)
                try await WorkerProcess.with([first]) {
                    try await withClient(database) { client in
                        let handle = try await client.enqueue(
                            effects,
                            Plan(steps: 2, gates: [1]),
                            on: "work",
                            options: .init(id: "w")
                        )
                        try await folder.until("effect w 1")
                        first.signal(SIGSTOP)
                        // With the gate open the frozen process would write its checkpoint as soon as it wakes.
                        let second = try WorkerProcess("two", database, folder)
                        try await WorkerProcess.with([second]) {
                            try await folder.until("effect w 1", happened: 2)
                            folder.open("w-1")
                            let result = try await handle.result()
                            #expect(result == 2)
                            let before = try await Self.rows(database)
                            first.signal(SIGCONT)
                            // It notices, joins again as a new incarnation, and is fit for work.
                            try await database.until(
                                "SELECT count(*) FROM {h}.executors WHERE executor_id = 'one' AND state = 'active'",
                                is: 1
                            )
                            await second.killNow()
                            let next = try await client.enqueue(noop, Nothing(), on: "work", options: .init(id: "n"))
                            _ = try await next.result()
                            #expect(try await client.workflow("n").executorID == "one")
                            #expect(try await Self.rows(database) == before)
                            #expect(try await client.takeovers(of: "w").map(\.reason) == ["lease_expired"])
                        }
                    }
                }
            }
        }
    }

    /// Everything recorded of workflow `w`.
    private static func rows(_ database: TestDatabase) async throws -> [String] {
        try await database.query(
            """
            SELECT function_id || ' ' || function_name || ' ' || completed_at_epoch_ms FROM {s}.operation_outputs
             WHERE workflow_uuid = 'w'
            UNION ALL SELECT status || ' ' || completed_at || ' ' || executor_id FROM {s}.workflow_status
             WHERE workflow_uuid = 'w'
            """
        ).map { try $0.string(0) }.sorted()
    }
}

@Suite("Several executors on one queue", .timeLimit(.minutes(3)))
struct SharedQueueTests {
    @Test("run each of 5,000 workflows exactly once")
    func exactlyOnce() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let workers = try ["one", "two"].map { try WorkerProcess($0, database, folder, concurrency: 256) }
                try await WorkerProcess.with(workers) {
                    try await withClient(database) { client in
                        let count = 5000
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for lane in 0..<50 {
                                group.addTask {
                                    for index in stride(from: lane, to: count, by: 50) {
                                        _ = try await client.enqueue(
                                            noop,
                                            Nothing(),
                                            on: "work",
                                            options: .init(id: "w\(index)")
                                        )
                                    }
                                }
                            }
                            try await group.waitForAll()
                        }
                        try await database.until(
                            "SELECT count(*) FROM {s}.workflow_status WHERE status = 'SUCCESS'",
                            is: count
                        )
                        let runs = folder.lines()
                        #expect(runs.count == count)
                        let ids = Set(runs.map { $0.split(separator: " ")[1] })
                        #expect(ids.count == count)
                        #expect(Set(runs.map { $0.split(separator: " ")[2] }) == ["one", "two"])
                        #expect(
                            try await database.count(
                                "SELECT count(*) FROM {s}.workflow_status WHERE recovery_attempts <> 1"
                            ) == 0
                        )
                    }
                }
            }
        }
    }

    @Test("hand work over on SIGTERM at once, and no attempt is counted")
    func handOver() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("one", database, folder)
                try await WorkerProcess.with([first]) {
                    try await withClient(database) { client in
                        let handle = try await client.enqueue(
                            WorkflowReference<Int, Int>("sleepy"),
                            3000,
                            on: "work",
                            options: .init(id: "w")
                        )
                        try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 2)
                        let second = try WorkerProcess("two", database, folder)
                        try await WorkerProcess.with([second]) {
                            first.signal(SIGTERM)
                            await first.ended()
                            #expect(first.exitStatus == 0)
                            let result = try await handle.result()
                            #expect(result == 3000)
                            let workflow = try await client.workflow("w")
                            #expect(workflow.executorID == "two")
                            #expect(workflow.recoveryAttempts == 1)
                            #expect(try await client.takeovers(of: "w").isEmpty)
                            let one = try await client.fleet().first { $0.executorID == "one" }
                            #expect(one?.state == .stopped)
                        }
                    }
                }
            }
        }
    }
}
