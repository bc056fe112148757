// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Logging
import ServiceLifecycle
import TestSupport
import Testing

@Suite("The start of an executor", .timeLimit(.minutes(5)))
struct StartupTests {
    @Test("a second run() throws")
    func twice() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, register: { _ in }) { executor in
                let error = await #expect(throws: HoldfastError.self) { try await executor.run() }
                #expect(error?.code == .alreadyRunning)
            }
        }
    }

    @Test("after its end neither runs again nor starts work")
    func ended() async throws {
        try await TestDatabase.with { database in
            let executor = try makeExecutor(database)
            try await withService(executor) { _ in try await executor.waitUntilReady() }
            let again = await #expect(throws: HoldfastError.self) { try await executor.run() }
            #expect(again?.code == .alreadyRunning)
            let ready = await #expect(throws: HoldfastError.self) { try await executor.waitUntilReady() }
            #expect(ready?.code == .notRunning)
            await #expect(throws: HoldfastError.self) {
                _ = try await executor.client.start(WorkflowReference<Int, Int>("w"), 1)
            }
        }
    }

    @Test("on a database that cannot be reached it keeps trying, says why, and can be stopped")
    func unreachable() async throws {
        try await TestDatabase.with { database in
            let log = LogBook()
            let executor = try makeExecutor(
                database,
                configure: { $0.database.url = "postgresql://postgres@127.0.0.1:1/none" },
                logger: log.logger
            )
            try await withService(executor) { group in
                try await until("two attempts") {
                    log.lines.count { $0.message.contains("the database cannot be reached; trying again") } >= 2
                }
                let line = try #require(log.lines.first { $0.message.contains("cannot be reached") })
                #expect(line.level == .warning)
                #expect(line.metadata.contains("refused"))
                await group.triggerGracefulShutdown()
            }
            await #expect(throws: HoldfastError.self) { try await executor.waitUntilReady() }
        }
    }

    @Test("with a role or a password that the server refuses it throws, and does not log the password")
    func refused() async throws {
        let access = "host all app 127.0.0.1/32 scram-sha-256"
        try await TemporaryPostgres.withServer(access: access) { server in
            try await TestDatabase.with(url: server.string()) { database in
                try await database.query("CREATE ROLE app LOGIN PASSWORD 'right'")
                for (user, password) in [("nobody", "x"), ("app", "wr0ng")] {
                    let log = LogBook()
                    let executor = try makeExecutor(
                        database,
                        configure: { $0.database.url = server.string("password=\(password)", user: user) },
                        logger: log.logger
                    )
                    let error = await #expect(throws: HoldfastError.self) { try await executor.run() }
                    #expect(error?.code == .database)
                    #expect(error?.message.contains(user) == true)
                    let told = "\(error?.description ?? "") \(log.lines)"
                    #expect(!told.contains("wr0ng"))
                }
            }
        }
    }

    @Test("without permission to create the tables it throws on an empty database")
    func verifies() async throws {
        try await TestDatabase.with(fresh: true) { database in
            let executor = try makeExecutor(database, configure: { $0.migrates = false })
            let error = await #expect(throws: HoldfastError.self) { try await executor.run() }
            #expect(error?.code == .schema)
            #expect(error?.message.contains(database.configuration.schema) == true)
            let schemas = try await database.count(
                "SELECT count(*) FROM pg_namespace WHERE nspname IN ('{s}', '{h}')"
            )
            #expect(schemas == 0)
        }
    }

    @Test("a version or a queue of another application is refused")
    func foreign() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, application: "first", queues: [Queue("q")], register: { _ in }) { _ in
                let version = try makeExecutor(database, application: "second", version: "v1")
                let taken = await #expect(throws: HoldfastError.self) { try await version.run() }
                #expect(taken?.code == .invalidConfiguration)
                #expect(taken?.message.contains("version 'v1' belongs to application 'first'") == true)
                let queue = try makeExecutor(database, application: "second", version: "v2", queues: [Queue("q")])
                let owned = await #expect(throws: HoldfastError.self) { try await queue.run() }
                #expect(owned?.code == .invalidConfiguration)
                #expect(owned?.message.contains("queue 'q' belongs to application 'first'") == true)
                // Whoever waits for it to be ready hears why it is not.
                let ready = await #expect(throws: HoldfastError.self) { try await queue.waitUntilReady() }
                #expect(ready?.code == .notRunning)
                #expect(ready?.message.contains("queue 'q' belongs to application 'first'") == true)
            }
            // A version that cannot start must not become the latest, or work without a version would wait for it.
            #expect(
                try await database.count("SELECT count(*) FROM {s}.application_versions WHERE version_name = 'v2'") == 0
            )
            let owner = try await database.count("SELECT count(*) FROM {s}.queues WHERE application_name = 'first'")
            #expect(owner == 1)
            #expect(
                try await database.count("SELECT count(*) FROM {h}.executors WHERE application_name = 'second'") == 0
            )
        }
    }

    @Test("an older version leaves the queues' limits to the latest")
    func olderVersion() async throws {
        try await TestDatabase.with { database in
            func start(_ version: String, _ limit: Int) async throws -> Int {
                try await withExecutor(
                    database,
                    version: version,
                    queues: [Queue("q", workerConcurrency: limit)],
                    register: { _ in }
                ) { _ in
                    try await database.count("SELECT worker_concurrency FROM {s}.queues WHERE name = 'q'")
                }
            }
            let limits = [
                try await start("old", 1), try await start("new", 2), try await start("old", 3),
                try await start("new", 4),
            ]
            #expect(limits == [1, 2, 2, 4])
        }
    }
}
