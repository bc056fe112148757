// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Logging
import ServiceLifecycle
import TestSupport
import Testing

/// Two schemas of the test's own, with a client and the tool on them; removed at the end.
struct ToolDatabase: Sendable {
    let configuration: DatabaseConfiguration
    let client: HoldfastClient
    let tool: Tool
    private let pool: PostgresPool

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func with<R>(isMigrated: Bool = true, _ body: (ToolDatabase) async throws -> R) async throws -> R {
        let suffix = UUID().uuidString.prefix(8).lowercased()
        let (url, isPooled) = (TestServer.url, TestServer.isPooled)
        let configuration = DatabaseConfiguration(
            url: url,
            directURL: TestServer.sessionURL,
            isPooled: isPooled,
            schema: "dbos_\(suffix)",
            ownSchema: "holdfast_\(suffix)"
        )
        var connection = PostgresConfiguration(url, applicationName: "test")
        connection.preparesStatements = !isPooled
        connection.serverSilenceLimit = nil
        let pool = PostgresPool(connection, size: 1, logger: logger)
        let database = ToolDatabase(
            configuration: configuration,
            client: try HoldfastClient(database: configuration, applicationName: "test-app", logger: logger),
            tool: Tool(
                environment: ["HOLDFAST_DATABASE_URL": url],
                options: ["--schema", configuration.schema, "--own-schema", configuration.ownSchema]
            ),
            pool: pool
        )
        let result: Result<R, any Error>
        do {
            if isMigrated { _ = try await configuration.migrator(logger: logger).migrate() }
            result = .success(try await body(database))
        } catch {
            result = .failure(error)
        }
        await database.client.close()
        _ = try await pool.execute(
            PostgresQuery("DROP SCHEMA IF EXISTS \(configuration.schema), \(configuration.ownSchema) CASCADE")
        )
        await pool.close()
        return try result.get()
    }

    /// Runs a statement; `{s}` and `{h}` stand for the schemas.
    func query(_ sql: String) async throws {
        let text = sql.replacingOccurrences(of: "{s}", with: self.configuration.schema)
            .replacingOccurrences(of: "{h}", with: self.configuration.ownSchema)
        _ = try await self.pool.execute(PostgresQuery(text))
    }

    func run(_ arguments: String...) async throws -> Tool.Answer { try await self.tool.run(arguments) }

    /// Waiting workflows of the name `greet` on queue `work`.
    func enqueue(_ ids: String...) async throws {
        for id in ids {
            _ = try await self.client.enqueue(
                WorkflowReference<String, String>("greet"),
                "World",
                on: "work",
                options: EnqueueOptions(id: WorkflowID(id))
            )
        }
    }

    /// Runs an executor for the length of `body`. It knows `greet` and `refuse`, and works on queue `work`.
    func withExecutor<R: Sendable>(
        _ id: ExecutorID = "worker-1",
        version: String = "v1",
        register: (inout WorkflowRegistry) throws -> Void = { _ in },
        _ body: @Sendable (HoldfastExecutor) async throws -> R
    ) async throws -> R {
        var configuration = HoldfastExecutor.Configuration(applicationName: "test-app", database: self.configuration)
        configuration.applicationVersion = version
        configuration.executorID = id
        configuration.maxConcurrentWorkflows = 16
        var registry = WorkflowRegistry()
        try registry.register(WorkflowReference<String, String>("greet")) { name, context in
            let salutation = try await context.step("salutation") { _ in "Hello" }
            return try await context.step("join") { _ in "\(salutation), \(name)!" }
        }
        try registry.register(WorkflowReference<String, String>("refuse")) { name, context in
            try await context.step("look") { _ in throw RecordedError(name: "Refused", message: "no \(name) here") }
        }
        try register(&registry)
        let executor = try HoldfastExecutor(
            configuration: configuration,
            registry: registry,
            queues: [Queue("work", workerConcurrency: 4)],
            logger: Self.logger
        )
        let group = ServiceGroup(configuration: .init(services: [.init(service: executor)], logger: Self.logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let result: Result<R, any Error>
            do {
                try await executor.waitUntilReady()
                result = .success(try await body(executor))
            } catch {
                result = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }
}
