// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Logging

extension Inventory {
    /// How many scans and how many batches wait for their files in one executor.
    private static let scans = 4
    private static let batches = 8

    /// - Parameter concurrency: How many files it works on at once.
    static func executor(
        database: DatabaseConfiguration,
        id: ExecutorID? = nil,
        version: String? = nil,
        concurrency: Int,
        logger: Logger
    ) throws -> HoldfastExecutor {
        var configuration = HoldfastExecutor.Configuration(applicationName: Self.application, database: database)
        configuration.executorID = id
        configuration.applicationVersion = version
        configuration.maxConcurrentWorkflows = concurrency + Self.batches + Self.scans
        configuration.payloadLimits = DatabaseOptions.payloadLimits
        return try HoldfastExecutor(
            configuration: configuration,
            workflows: ScanWorkflow(),
            BatchWorkflow(),
            FileWorkflow(),
            queues: [
                Queue(.scans, workerConcurrency: Self.scans),
                Queue(.batches, workerConcurrency: Self.batches),
                Queue(.files, workerConcurrency: concurrency),
            ],
            logger: logger
        )
    }
}
