// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Logging
import ServiceLifecycle
import Testing

/// Runs an executor for the length of `body`, then shuts it down gracefully.
func withExecutor<R: Sendable>(
    _ database: TestDatabase,
    application: String = "test-app",
    version: String = "v1",
    id: ExecutorID? = nil,
    queues: [Queue] = [],
    configure: (inout HoldfastExecutor.Configuration) -> Void = { _ in },
    logger: Logger = TestDatabase.logger,
    register: (inout WorkflowRegistry) throws -> Void,
    _ body: @Sendable (HoldfastExecutor) async throws -> R
) async throws -> R {
    let executor = try makeExecutor(
        database,
        application: application,
        version: version,
        id: id,
        queues: queues,
        configure: configure,
        logger: logger,
        register: register
    )
    return try await withService(executor) { _ in
        try await executor.waitUntilReady()
        return try await body(executor)
    }
}

/// An executor that is not run yet.
func makeExecutor(
    _ database: TestDatabase,
    application: String = "test-app",
    version: String = "v1",
    id: ExecutorID? = nil,
    queues: [Queue] = [],
    configure: (inout HoldfastExecutor.Configuration) -> Void = { _ in },
    logger: Logger = TestDatabase.logger,
    register: (inout WorkflowRegistry) throws -> Void = { _ in }
) throws -> HoldfastExecutor {
    var configuration = HoldfastExecutor.Configuration(
        applicationName: application,
        database: database.configuration
    )
    configuration.applicationVersion = version
    configuration.executorID = id
    configuration.shutdownGracePeriod = .seconds(10)
    // What tests change by SQL is announced by nobody.
    configuration.pollInterval = .milliseconds(50)
    configure(&configuration)
    var registry = WorkflowRegistry()
    try register(&registry)
    return try HoldfastExecutor(configuration: configuration, registry: registry, queues: queues, logger: logger)
}

/// Runs a service for the length of `body`, then shuts it down gracefully; `body` may do that itself.
func withService<R: Sendable>(
    _ executor: HoldfastExecutor,
    _ body: @Sendable (ServiceGroup) async throws -> R
) async throws -> R {
    let group = ServiceGroup(
        configuration: .init(
            services: [.init(service: executor, successTerminationBehavior: .gracefullyShutdownGroup)],
            logger: TestDatabase.logger
        )
    )
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        let result: Result<R, any Error>
        do { result = .success(try await body(group)) } catch { result = .failure(error) }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        return try result.get()
    }
}
