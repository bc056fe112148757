// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import ServiceLifecycle
import Testing

@Suite("The start of an executor behind somebody's lock", .timeLimit(.minutes(5)))
struct BlockedStartTests {
    /// What a test locks, and what waits for it then.
    enum Lock: String, CaseIterable {
        case queue, versions

        var sql: String {
            switch self {
            case .queue: "SELECT 1 FROM {s}.queues WHERE name = 'q' FOR UPDATE"
            case .versions: "LOCK TABLE {s}.application_versions IN SHARE MODE"
            }
        }

        var waiting: String {
            switch self {
            case .queue: "INSERT INTO \"{s}\".queues%"
            case .versions: "UPDATE \"{s}\".application_versions%"
            }
        }
    }

    @Test("ends at once when it is told to stop", arguments: Lock.allCases, [false, true])
    func stop(lock: Lock, isGraceful: Bool) async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, queues: [Queue("q")], register: { _ in }) { _ in }
            let executor = try makeExecutor(database, version: "v2", queues: [Queue("q")])
            let group = ServiceGroup(
                configuration: .init(
                    services: [.init(service: executor, successTerminationBehavior: .gracefullyShutdownGroup)],
                    logger: TestDatabase.logger
                )
            )
            let diary = Diary()
            let run = Task {
                defer { diary.note("ended") }
                if isGraceful { try await group.run() } else { try await executor.run() }
            }
            let took = try await database.holding(lock.sql) {
                try await database.untilBlocked(lock.waiting)
                let start = ContinuousClock.now
                if isGraceful { await group.triggerGracefulShutdown() } else { run.cancel() }
                try await until("the end of run()", within: .seconds(30)) { diary.count("ended") == 1 }
                return ContinuousClock.now - start
            }
            // Less than any limit for a lock.
            #expect(took < .seconds(4))
            let result = await run.result
            if isGraceful {
                try result.get()
            } else {
                #expect(throws: CancellationError.self) { try result.get() }
            }
            let ready = await #expect(throws: HoldfastError.self) { try await executor.waitUntilReady() }
            #expect(ready?.code == .notRunning)
        }
    }

    @Test("waits for a row or a table that is locked for longer than statements wait", arguments: Lock.allCases)
    func patience(lock: Lock) async throws {
        let log = LogBook()
        try await TestDatabase.with { database in
            try await withExecutor(database, queues: [Queue("q")], register: { _ in }) { _ in }
            let executor = try makeExecutor(database, version: "v2", queues: [Queue("q")], logger: log.logger)
            try await withService(executor) { _ in
                try await database.holding(lock.sql) {
                    try await until("a repetition") { log.lines.contains { $0.message.contains("holds a lock") } }
                }
                try await executor.waitUntilReady()
            }
        }
    }

    @Test("gives up what takes longer than the self-stop, and does it again")
    func hangs() async throws {
        let log = LogBook()
        try await TestDatabase.with { database in
            try await withExecutor(database, register: { _ in }) { _ in }
            let executor = try makeExecutor(
                database,
                configure: {
                    $0.heartbeat = .milliseconds(100)
                    $0.selfStop = .seconds(1)
                    $0.lease = .seconds(3)
                },
                logger: log.logger
            )
            try await withService(executor) { _ in
                // Also whoever only reads the queues waits for it, and without a limit.
                try await database.holding("LOCK TABLE {s}.queues IN ACCESS EXCLUSIVE MODE") {
                    try await until("a repetition") {
                        log.lines.contains {
                            $0.message.contains("queues: the database cannot be reached; trying again")
                        }
                    }
                }
                try await executor.waitUntilReady()
            }
        }
    }
}
