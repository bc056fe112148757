// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("What an executor refuses before it runs")
struct ConfigurationTests {
    private static let valid: HoldfastExecutor.Configuration = {
        var configuration = HoldfastExecutor.Configuration(
            applicationName: "shop",
            database: DatabaseConfiguration(url: "postgresql://127.0.0.1/none")
        )
        configuration.applicationVersion = "v1"
        return configuration
    }()

    struct Case: Sendable, CustomTestStringConvertible {
        var field: String
        var change: @Sendable (inout HoldfastExecutor.Configuration) -> Void
        var testDescription: String { self.field }

        init(_ field: String, _ change: @escaping @Sendable (inout HoldfastExecutor.Configuration) -> Void) {
            self.field = field
            self.change = change
        }
    }

    @Test(
        "a configuration that cannot work, in words that name the field",
        arguments: [
            Case("applicationName") { $0.applicationName = "ab" },
            Case("applicationName") { $0.applicationName = "Shop" },
            Case("applicationName") { $0.applicationName = "käse" },
            Case("applicationName") { $0.applicationName = String(repeating: "x", count: 257) },
            Case("database URL") { $0.database.url = " " },
            Case("poolSize") { $0.database.poolSize = 1 },
            Case("schema and ownSchema") { $0.database.ownSchema = "dbos" },
            Case("schema") { $0.database.schema = "" },
            Case("schema") { $0.database.ownSchema = "a\0b" },
            Case("schema") { $0.database.schema = String(repeating: "s", count: 64) },
            Case("maxConcurrentWorkflows") { $0.maxConcurrentWorkflows = 0 },
            Case("pollInterval") { $0.pollInterval = .milliseconds(9) },
            Case("heartbeat must be 50 ms") { $0.heartbeat = .milliseconds(49) },
            Case("shutdownGracePeriod") { $0.shutdownGracePeriod = .seconds(-1) },
            Case("pollInterval must not be more") { $0.pollInterval = .seconds(Int64.max) },
            Case("lease must not be more") { $0.lease = .seconds(Int64.max) },
            Case("shutdownGracePeriod must not be more") { $0.shutdownGracePeriod = .seconds(Int64.max) },
            Case("payloadLimits.maxBytes") { $0.payloadLimits.maxBytes = 0 },
            Case("executorID") { $0.executorID = " " },
            Case("applicationVersion") { $0.applicationVersion = "" },
        ]
    )
    func configuration(wrong: Case) throws {
        var configuration = Self.valid
        wrong.change(&configuration)
        let error = #expect(throws: HoldfastError.self) {
            _ = try HoldfastExecutor(
                configuration: configuration,
                registry: WorkflowRegistry(),
                logger: TestDatabase.logger
            )
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(wrong.field) == true, "\(error?.message ?? "")")
    }

    @Test(
        "times that would let a peer take over before this executor has stopped; the database is not touched",
        arguments: [
            (1, 10, 10, ["selfStop", "lease", "10.0 seconds", "shorten selfStop or lengthen lease"]),
            (1, 7, 5, ["selfStop", "lease", "7.0 seconds and 5.0 seconds", "shorten selfStop or lengthen lease"]),
            (7, 7, 10, ["heartbeat", "selfStop", "7.0 seconds", "shorten heartbeat or lengthen selfStop"]),
            (4, 7, 10, ["heartbeat must be at most half of selfStop", "4.0 seconds and 7.0 seconds"]),
            (20, 7, 10, ["heartbeat", "20.0 seconds and 7.0 seconds", "shorten heartbeat or lengthen selfStop"]),
        ]
    )
    func times(heartbeat: Int, selfStop: Int, lease: Int, words: [String]) async throws {
        try await TestDatabase.with(fresh: true) { database in
            let error = #expect(throws: HoldfastError.self) {
                try makeExecutor(database) { configuration in
                    configuration.heartbeat = .seconds(heartbeat)
                    configuration.selfStop = .seconds(selfStop)
                    configuration.lease = .seconds(lease)
                }
            }
            #expect(error?.code == .invalidConfiguration)
            for word in words { #expect(error?.message.contains(word) == true, "\(error?.message ?? "")") }
            let schemas = try await database.count("SELECT count(*) FROM pg_namespace WHERE nspname IN ('{s}', '{h}')")
            #expect(schemas == 0)
        }
    }

    @Test(
        "a queue that cannot work, in words that name it",
        arguments: [
            (Queue(" "), "name is blank"), (Queue("_dbos_mine"), "'_dbos_mine': names that begin with '_dbos_'"),
            (Queue("q", workerConcurrency: 0), "'q': workerConcurrency is 0"),
            (Queue("q", pollingInterval: .zero), "'q': pollingInterval must be positive"),
        ]
    )
    func queue(queue: Queue, reason: String) {
        let error = #expect(throws: HoldfastError.self) {
            _ = try HoldfastExecutor(
                configuration: Self.valid,
                registry: WorkflowRegistry(),
                queues: [queue],
                logger: TestDatabase.logger
            )
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(reason) == true)
    }

    @Test("the same queue twice")
    func duplicateQueue() {
        let error = #expect(throws: HoldfastError.self) {
            _ = try HoldfastExecutor(
                configuration: Self.valid,
                registry: WorkflowRegistry(),
                queues: [Queue("q"), Queue("q", workerConcurrency: 1)],
                logger: TestDatabase.logger
            )
        }
        #expect(error?.code == .duplicateRegistration)
    }

    @Test("a workflow registered twice, without a name, or with an impossible limit; the registry stays as it was")
    func workflows() throws {
        var registry = WorkflowRegistry()
        try registry.register(WorkflowReference<Int, Int>("w")) { number, _ in number }
        let twice = #expect(throws: HoldfastError.self) {
            try registry.register(WorkflowReference<String, String>("w")) { text, _ in text }
        }
        #expect(twice?.code == .duplicateRegistration)
        #expect(twice?.message.contains("'w' is registered twice") == true)
        for name: WorkflowName in ["", " \n"] {
            let blank = #expect(throws: HoldfastError.self) {
                try registry.register(WorkflowReference<Int, Int>(name)) { number, _ in number }
            }
            #expect(blank?.code == .invalidConfiguration)
        }
        let limit = #expect(throws: HoldfastError.self) {
            try registry.register(
                WorkflowReference<Int, Int>("x"),
                options: WorkflowOptions(maxRecoveryAttempts: -1)
            ) { number, _ in number }
        }
        #expect(limit?.message.contains("'x': maxRecoveryAttempts is -1") == true)
        // The refused names are free.
        try registry.register(WorkflowReference<Int, Int>("x")) { number, _ in number }
    }

    @Test("two workflows of one name given one by one")
    func duplicateTypes() {
        struct First: Workflow {
            static let name: WorkflowName = "same"
            func run(_ input: Int, context: WorkflowContext) async throws -> Int { input }
        }
        struct Second: Workflow {
            static let name: WorkflowName = "same"
            func run(_ input: Int, context: WorkflowContext) async throws -> Int { input }
        }
        let error = #expect(throws: HoldfastError.self) {
            _ = try HoldfastExecutor(
                configuration: Self.valid,
                workflows: First(),
                Second(),
                logger: TestDatabase.logger
            )
        }
        #expect(error?.code == .duplicateRegistration)
    }
}
