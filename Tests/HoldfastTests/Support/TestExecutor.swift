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
    register: (inout WorkflowRegistry) throws -> Void,
    _ body: @Sendable (HoldfastExecutor) async throws -> R
) async throws -> R {
    var configuration = HoldfastExecutor.Configuration(
        applicationName: application,
        database: database.configuration
    )
    configuration.applicationVersion = version
    configuration.executorID = id
    configuration.shutdownGracePeriod = .seconds(10)
    configure(&configuration)
    var registry = WorkflowRegistry()
    try register(&registry)
    let executor = try HoldfastExecutor(
        configuration: configuration,
        registry: registry,
        queues: queues,
        logger: TestDatabase.logger
    )
    let group = ServiceGroup(
        configuration: .init(services: [.init(service: executor)], logger: TestDatabase.logger)
    )
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
