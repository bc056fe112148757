// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
package import Metrics

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension HoldfastExecutor {
    /// How an executor runs. Only the application's name and the database are required.
    public struct Configuration: Sendable {
        /// The application: 3 to 256 lower-case letters, digits, `-` and `_`. Work, queues and versions belong to it.
        public var applicationName: String
        /// Where the system database is.
        public var database: DatabaseConfiguration
        /// The slot: unique among live executors. Give a name that is stable across restarts (a host, a StatefulSet's
        /// ordinal), and the successor takes over at once. Default: host, process and chance.
        public var executorID: ExecutorID?
        /// The version of the code. Work keeps the version that started it. Default: a digest of the executable.
        public var applicationVersion: String?
        /// How many workflows are claimed to run here at once. Those that sleep or await a child do not count, so that parents
        /// never keep their children from running; direct starts are not limited. Default: 256.
        public var maxConcurrentWorkflows = 256
        /// How often queues are looked at when no notification arrives. Default: 1 s.
        public var pollInterval: Duration = .seconds(1)
        /// Which queues are claimed from. Default: all of the application's.
        public var queueSelection: QueueSelection = .all
        /// How often the lease is renewed; at most half of `selfStop`. Default: 1 s.
        public var heartbeat: Duration = .seconds(1)
        /// After how long without a renewal the executor stops its work by itself. It must be less than `lease`: then it has
        /// stopped before anybody may take over because the lease has expired. Default: 7 s.
        ///
        /// Peers take over sooner when the database session of this executor ends, as it does when the process is killed. A
        /// network that resets connections instead of swallowing what is sent ends it, too: then the executor may run its steps
        /// until its self-stop while its successor runs them. What it writes meanwhile is refused.
        public var selfStop: Duration = .seconds(7)
        /// After how long without a renewal peers take over. Default: 10 s.
        public var lease: Duration = .seconds(10)
        /// How many executors may die under a workflow without a new checkpoint: at the next death it is given up; `nil`: never.
        /// From the second death on it waits longer and longer before it runs again. Default: 5.
        public var quarantineAfter: Int? = 5
        /// How long running steps may take to reach their checkpoint when the executor shuts down. Default: 30 s.
        public var shutdownGracePeriod: Duration = .seconds(30)
        /// How large inputs and results may be.
        public var payloadLimits = PayloadLimits()
        /// Whether the schema is created and upgraded at the start; otherwise it is only checked. Default: true.
        public var migrates = true
        /// Whether the schema is known to be current, so that not even a look is needed: a test has just made it.
        package var trustsSchema = false
        /// The time workflows live in; tests set another.
        package var clock: (any WorkflowClock)?
        /// How long the code may take to replay one record for a dry run of a re-pinning; tests set less.
        package var replayCheckLimit: Duration = .seconds(10)
        /// Where metrics go instead of to the process's own system.
        package var metrics: (any MetricsFactory)?
        /// By what a test kills and stops the executor.
        package var faults: ProcessFaults? {
            didSet { self.database.wires = self.faults?.wires }
        }

        /// Makes a configuration with the defaults.
        public init(applicationName: String, database: DatabaseConfiguration) {
            self.applicationName = applicationName
            self.database = database
        }

        func validate() throws(HoldfastError) {
            try Self.validate(applicationName: self.applicationName)
            try self.database.validate()
            try self.require(self.maxConcurrentWorkflows >= 1, "maxConcurrentWorkflows must be 1 or more")
            try self.require(self.pollInterval >= .milliseconds(10), "pollInterval must be 10 ms or more")
            try self.require(self.heartbeat >= .milliseconds(50), "heartbeat must be 50 ms or more")
            try self.require(
                self.heartbeat <= self.selfStop / 2,
                "heartbeat must be at most half of selfStop, or a renewal that is a little late would stop the executor: "
                    + "they are \(self.heartbeat) and \(self.selfStop); shorten heartbeat or lengthen selfStop"
            )
            try self.require(
                self.selfStop < self.lease,
                "selfStop must be less than lease, or a peer could take over before this executor has stopped: they are "
                    + "\(self.selfStop) and \(self.lease); shorten selfStop or lengthen lease"
            )
            try self.require(self.shutdownGracePeriod >= .zero, "shutdownGracePeriod must not be negative")
            for (name, duration) in [
                ("pollInterval", self.pollInterval), ("lease", self.lease),
                ("shutdownGracePeriod", self.shutdownGracePeriod),
            ] {
                try self.require(duration <= .century, "\(name) must not be more than a hundred years")
            }
            try self.require(self.payloadLimits.maxBytes >= 1, "payloadLimits.maxBytes must be 1 or more")
            if let limit = self.quarantineAfter {
                try self.require(limit >= 1, "quarantineAfter must be 1 or more, or nil")
            }
            if let id = self.executorID {
                try self.require(!id.isBlank, "executorID is blank; leave it out or name it")
            }
            if let version = self.applicationVersion {
                try self.require(
                    !version.allSatisfy(\.isWhitespace),
                    "applicationVersion is blank; leave it out or name it"
                )
            }
        }

        private func require(_ condition: Bool, _ rule: String) throws(HoldfastError) {
            guard condition else { throw HoldfastError(.invalidConfiguration, rule) }
        }

        static func validate(applicationName: String) throws(HoldfastError) {
            let isAllowed = applicationName.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
            guard isAllowed, (3...256).contains(applicationName.utf8.count) else {
                throw HoldfastError(
                    .invalidConfiguration,
                    "applicationName '\(applicationName)' must have 3 to 256 characters of a-z, 0-9, '-' and '_'"
                )
            }
        }

        func identity() throws(HoldfastError) -> ExecutorIdentity {
            var version = self.applicationVersion ?? ""
            if version.isEmpty { version = try ExecutableDigest.ofThisProcess() }
            return ExecutorIdentity(
                applicationName: self.applicationName,
                applicationVersion: version,
                executorID: self.executorID
                    ?? ExecutorID("\(HostName.current)-\(HostName.processID)-\(Incarnation().text.prefix(6))")
            )
        }
    }
}
