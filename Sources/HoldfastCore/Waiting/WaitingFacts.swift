// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Everything that can keep a workflow from going on, read at one moment.
package struct WaitingFacts: Sendable {
    package struct Queue: Sendable {
        package var concurrency: Int?
        package var workerConcurrency: Int?
        package var rateLimit: Int?
        package var ratePeriodSeconds: Double?
        package var partitionConcurrency: Int?
        package var partitionWorkerConcurrency: Int?
        package var partitionRateLimit: Int?
        package var partitionRatePeriodSeconds: Double?
        /// Executors claim from registered queues only.
        package var isRegistered = true
        /// Its running workflows, in the whole fleet.
        package var pending = 0
        /// Waiting workflows that come before this one.
        package var ahead = 0

        package init() {}
    }

    /// A live executor of the workflow's application; of any when it belongs to none.
    package struct Executor: Sendable {
        package var id: String
        package var version: String
        /// The latest version of its application.
        package var latestVersion: String?
        package var isDraining: Bool
        package var runsWorkflow: Bool
        package var listensToQueue: Bool
        package var running: Int
        package var capacity: Int
        /// The queue's workflows it runs.
        package var runningOfQueue: Int

        package init(
            id: String,
            version: String,
            latestVersion: String?,
            isDraining: Bool,
            runsWorkflow: Bool,
            listensToQueue: Bool,
            running: Int,
            capacity: Int,
            runningOfQueue: Int
        ) {
            self.id = id
            self.version = version
            self.latestVersion = latestVersion
            self.isDraining = isDraining
            self.runsWorkflow = runsWorkflow
            self.listensToQueue = listensToQueue
            self.running = running
            self.capacity = capacity
            self.runningOfQueue = runningOfQueue
        }

        /// Whether it claims work without a version.
        package var isOfLatestVersion: Bool { self.latestVersion.map { $0 == self.version } ?? true }
    }

    /// The life of an executor that owns the workflow.
    package struct Owner: Sendable {
        package var id: String
        package var state: String
        package var heartbeatAgeSeconds: Double
        package var leaseRemainingSeconds: Double
        /// How long a lease lasts that has just been renewed.
        package var leaseSeconds: Double

        package init(
            id: String,
            state: String,
            heartbeatAgeSeconds: Double,
            leaseRemainingSeconds: Double,
            leaseSeconds: Double
        ) {
            self.id = id
            self.state = state
            self.heartbeatAgeSeconds = heartbeatAgeSeconds
            self.leaseRemainingSeconds = leaseRemainingSeconds
            self.leaseSeconds = leaseSeconds
        }
    }

    /// What the last record of a running workflow says that it waits for.
    package enum Pause: Sendable, Equatable {
        /// `until` is missing when no calendar has the moment.
        case sleep(seconds: Double, until: String?)
        /// The first child that is open, and how many more are.
        case child(id: String, status: String, others: Int)
    }

    package var status: String
    package var name: String
    package var queueName: String?
    package var application: String?
    package var version: String?
    package var isPortable = true
    package var executorID: String?
    package var delayRemainingSeconds: Double?
    package var strikes = 0
    package var queue: Queue?
    package var executors: [Executor] = []
    package var owner: Owner?
    package var pause: Pause?

    package init(status: String, name: String) {
        self.status = status
        self.name = name
    }
}
