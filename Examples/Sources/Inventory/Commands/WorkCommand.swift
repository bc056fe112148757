// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast
import Logging
import ServiceLifecycle
import UnixSignals

/// Runs an executor until SIGTERM or SIGINT.
struct WorkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "work",
        abstract: "Runs an executor. Start as many as you like, on any machine that sees the same files.",
        discussion: "On SIGTERM and SIGINT it ends the steps that run, and gives the rest of its work back."
    )

    /// How many scans and how many batches wait for their files here at once.
    private static let scans = 4
    private static let batches = 8

    @OptionGroup var database: DatabaseOptions

    @Option(help: "A name no other running executor has. Default: host, process and chance.")
    var executorID: String?

    @Option(help: "How many files it works on at once.")
    var concurrency = 32

    @Option(name: .customLong("version"), help: "The version of the code. Default: a digest of this executable.")
    var applicationVersion: String?

    func validate() throws {
        guard self.concurrency >= 1 else { throw ValidationError("--concurrency must be 1 or more") }
    }

    func run() async throws {
        var configuration = HoldfastExecutor.Configuration(
            applicationName: Inventory.application,
            database: try self.database.configuration()
        )
        configuration.executorID = self.executorID.map { ExecutorID($0) }
        configuration.applicationVersion = self.applicationVersion
        configuration.maxConcurrentWorkflows = self.concurrency + Self.batches + Self.scans
        configuration.payloadLimits = DatabaseOptions.payloadLimits
        let logger = Logger(label: "inventory", factory: { StreamLogHandler.standardError(label: $0) })
        let executor = try HoldfastExecutor(
            configuration: configuration,
            workflows: ScanWorkflow(),
            BatchWorkflow(),
            FileWorkflow(),
            queues: [
                Queue(.files, workerConcurrency: self.concurrency),
                Queue(.batches, workerConcurrency: Self.batches),
                Queue(.scans, workerConcurrency: Self.scans),
            ],
            logger: logger
        )
        let group = ServiceGroup(
            services: [executor],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        try await group.run()
    }
}
