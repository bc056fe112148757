// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Synchronization
import Testing

@testable import HoldfastTestKit

@Suite("A test database", .timeLimit(.minutes(5)))
struct TestDatabaseTests {
    @Test("is there with the trait, empty, and another one for each test", .postgres, arguments: 1...4)
    func trait(number: Int) async throws {
        let database = try TestDatabase.current
        try await database.withClient { client in
            #expect(try await client.workflows().isEmpty)
            _ = try await client.enqueue(
                WorkflowReference<Int, Int>("any"),
                number,
                on: "q",
                options: .init(id: "the same in each")
            )
            #expect(
                try await client.workflow("the same in each").input
                    == #"{"positionalArgs":[\#(number)],"namedArgs":{}}"#
            )
        }
    }

    @Test("is not there without, and the error says what to do")
    func none() async throws {
        let error = #expect(throws: TestKitError.self) { try TestDatabase.current }
        #expect(error?.code == .noDatabase)
        #expect(error?.message.contains(".postgres") == true)
    }

    @Test("is made by a call as well, and does not outlive it")
    func call() async throws {
        let configuration = try await TestDatabase.with { database in
            let current = try TestDatabase.current
            #expect(current.configuration.schema == database.configuration.schema)
            return database.configuration
        }
        #expect(TestDatabase.local == nil)
        #expect(configuration.schema.hasPrefix("dbos_test_"))
        #expect(configuration.ownSchema.hasPrefix("holdfast_test_"))
    }

    @Test("goes through a pooler where there is one, and past it where that is needed and allowed")
    func pooler() async throws {
        var environment = [TestServer.variable: "pooler", TestServer.directVariable: " "]
        var resolved = try await TestServer.automatic.resolve(environment)
        #expect(resolved.url == "pooler")
        #expect(!resolved.isPooled)
        environment[TestServer.directVariable] = "server"
        resolved = try await TestServer.automatic.resolve(environment)
        let configuration = try TestDatabase(resolved, suffix: "none", named: .automatic).configuration
        #expect(configuration.url == "pooler")
        #expect(configuration.directURL == "server")
        #expect(configuration.isPooled)
        environment[TestServer.aloneVariable] = "1"
        resolved = try await TestServer.automatic.resolve(environment)
        #expect(resolved.directURL == nil)
        #expect(resolved.isPooled)
        #expect(try await !TestServer.url("other").resolve(environment).isPooled)
    }

    @Test("on a server that is not there: the error says so, and names the cure")
    func unreachable() async throws {
        let error = try #require(
            await #expect(throws: TestKitError.self) {
                try await TestDatabase.with(.url("postgresql://nobody:secret@127.0.0.1:1/none")) { _ in }
            }
        )
        #expect(error.code == .unusableServer)
        #expect(error.message.contains("the server that the test names cannot be used"))
        #expect(error.message.contains("Connection refused"))
        #expect(error.message.contains(TestServer.variable))
        #expect(!error.message.contains("secret"))
    }

    @Test("in which an executor is left running is not handed to the next test")
    func leftover() async throws {
        let left = Mutex<HoldfastExecutor?>(nil)
        let run = Mutex<Task<Void, any Error>?>(nil)
        let schema = try await TestDatabase.with { database in
            var configuration = HoldfastExecutor.Configuration(
                applicationName: TestDatabase.applicationName,
                database: database.configuration
            )
            configuration.applicationVersion = "test"
            let executor = try HoldfastExecutor(
                configuration: configuration,
                registry: WorkflowRegistry(),
                logger: TestLog.logger
            )
            left.withLock { $0 = executor }
            // Left running on purpose; cancelled and awaited below.
            run.withLock { $0 = Task { try await executor.run() } }
            try await executor.waitUntilReady()
            return database.configuration.schema
        }
        for _ in 1...3 {
            try await TestDatabase.with { #expect($0.configuration.schema != schema) }
        }
        let task = run.withLock { $0 }
        task?.cancel()
        _ = await task?.result
    }

    @Test("stays when its test fails, if that is wanted, and when it was asked to")
    func kept() async throws {
        let kept = Mutex<[TestDatabase]>([])
        try await TestDatabase.with { database in
            database.keep()
            kept.withLock { $0.append(database) }
        }
        await #expect(throws: Refused.self) {
            try await TestDatabase.with(.automatic, keepsFailed: true) { database in
                kept.withLock { $0.append(database) }
                throw Refused(reason: "the test fails")
            }
        }
        for ended in kept.withLock({ $0 }) {
            let suffix = String(ended.configuration.schema.dropFirst("dbos_test_".count))
            let database = try TestDatabase(ended.resolved, suffix: suffix, named: .automatic)
            let workflows = try await database.withClient { try await $0.workflows() }
            #expect(workflows.isEmpty)
            try await database.system.dropSchemas()
            await database.system.close()
            await #expect(throws: HoldfastError.self) {
                try await database.withClient { client in _ = try await client.workflows() }
            }
        }
    }
}
