// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Logging
import ServiceLifecycle
import UnixSignals

/// An executor process for tests to kill, freeze and restart, or with `enqueuing` a client. Arguments: a JSON object.
@main
struct TestWorker {
    struct Arguments: Codable {
        var url: String
        var schema: String
        var ownSchema: String
        var application: String
        var version: String
        var executorID: String
        var folder: String
        var heartbeatMilliseconds: Int
        var selfStopMilliseconds: Int
        var leaseMilliseconds: Int
        var graceMilliseconds: Int
        var concurrency: Int
        var queueConcurrency: Int?
        var quarantineAfter: Int
        var logLevel: Logger.Level?
        /// Names this process, among others of its slot, in the effect log of the workflows for `ops/chaos`.
        var processName: String?
        /// More queues, with their limits.
        var queues: [String: Int]?
        var isPooled: Bool?
        var directURL: String?
        var enqueuing: Enqueuer.Plan?
    }

    static func main() async throws {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        let arguments = try JSONDecoder().decode(Arguments.self, from: Data(CommandLine.arguments[1].utf8))
        var logger = Logger(label: "test-worker")
        logger.logLevel = arguments.logLevel ?? .info
        let database = DatabaseConfiguration(
            url: arguments.url,
            directURL: arguments.directURL,
            isPooled: arguments.isPooled ?? false,
            schema: arguments.schema,
            ownSchema: arguments.ownSchema
        )
        let effects = Effects(folder: arguments.folder, executorID: arguments.executorID)
        if let plan = arguments.enqueuing {
            let client = try HoldfastClient(database: database, applicationName: arguments.application, logger: logger)
            let enqueuer = Enqueuer(plan: plan, client: client, effects: effects)
            let group = ServiceGroup(services: [enqueuer], gracefulShutdownSignals: [.sigterm], logger: logger)
            return try await group.run()
        }
        var configuration = HoldfastExecutor.Configuration(
            applicationName: arguments.application,
            database: database
        )
        configuration.applicationVersion = arguments.version
        configuration.executorID = ExecutorID(arguments.executorID)
        configuration.maxConcurrentWorkflows = arguments.concurrency
        configuration.heartbeat = .milliseconds(arguments.heartbeatMilliseconds)
        configuration.selfStop = .milliseconds(arguments.selfStopMilliseconds)
        configuration.lease = .milliseconds(arguments.leaseMilliseconds)
        configuration.shutdownGracePeriod = .milliseconds(arguments.graceMilliseconds)
        configuration.quarantineAfter = arguments.quarantineAfter
        var registry = try effects.registry()
        if let name = arguments.processName {
            let log = try EffectLog(path: "\(arguments.folder)/\(name).effects")
            try ChaosWorkflows(log: log).register(in: &registry)
        }
        let queues = (arguments.queues ?? [:]).map { Queue(QueueName($0.key), workerConcurrency: $0.value) }
        let executor = try HoldfastExecutor(
            configuration: configuration,
            registry: registry,
            queues: [Queue("work", workerConcurrency: arguments.queueConcurrency)] + queues,
            logger: logger
        )
        let services = ServiceGroup(services: [executor], logger: logger)
        let signals = await UnixSignalsSequence(trapping: .sigterm)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                group.addTask {
                    var signals = signals.makeAsyncIterator()
                    _ = await signals.next()
                    await services.triggerGracefulShutdown()
                    // A second one ends the grace period.
                    _ = await signals.next()
                }
                group.addTask {
                    if (try? await executor.waitUntilReady()) != nil {
                        try FileHandle.standardOutput.write(contentsOf: Data("READY\n".utf8))
                    }
                    // The others end this one.
                    try await Task.sleep(for: .seconds(Int64(Int32.max)))
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            logger.critical("\(error)")
            exit(1)
        }
    }
}
