// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The one fact that keeps a workflow from going on.
package enum WaitingReason: Sendable, Equatable {
    case settled(status: String)
    case delayed(seconds: Double, strikes: Int)
    case running(executor: String, heartbeatAge: Double)
    case sleeping(seconds: Double, until: String?, executor: String, heartbeatAge: Double)
    case awaitingChild(child: String, status: String, others: Int, executor: String, heartbeatAge: Double)
    case ownerDraining(executor: String)
    case ownerSilent(executor: String, heartbeatAge: Double, leaseRemaining: Double, successors: Successors)
    case ownerGone(executor: String, successors: Successors)
    case ownerUnknown(executor: String)
    case foreignFormat
    case noExecutor(application: String?)
    case noExecutorOfVersion(version: String, others: [String])
    case notLatest(latest: [String])
    case workflowNotRegistered(name: String, version: String)
    case queueNotRegistered(queue: String)
    case nobodyListens(queue: String)
    case sharedLimits(queue: String, what: String)
    case allDraining(version: String)
    case queueLimit(queue: String, limit: Int)
    case executorsFull(running: Int, capacity: Int)
    case behind(count: Int, queue: String)
    case next(queue: String)

    /// Who can take the work of an executor over.
    package struct Successors: Sendable, Equatable {
        package var version: String
        /// Whether an executor of the version is alive and claims.
        package var exist: Bool
        /// The other versions of which executors are alive.
        package var others: [String]

        package init(version: String, exist: Bool, others: [String]) {
            self.version = version
            self.exist = exist
            self.others = others
        }

        fileprivate init(_ version: String?, among executors: [WaitingFacts.Executor]) {
            let version = version ?? ""
            self.version = version
            self.exist = executors.contains { $0.version == version && !$0.isDraining }
            self.others = Set(executors.map(\.version)).subtracting([version]).sorted()
        }
    }

    /// The blocking fact, looked for in the order in which a claim would meet it.
    package init(_ facts: WaitingFacts) {
        switch facts.status {
        case "DELAYED":
            let left = facts.delayRemainingSeconds ?? 0
            // Once it is due, what keeps it is what keeps any other waiting workflow.
            self = left > 0 ? .delayed(seconds: left, strikes: facts.strikes) : Self.enqueued(facts)
        case "PENDING":
            self = Self.pending(facts)
        case "ENQUEUED":
            self = Self.enqueued(facts)
        default:
            self = .settled(status: facts.status)
        }
    }

    private static func pending(_ facts: WaitingFacts) -> WaitingReason {
        guard let owner = facts.owner else { return .ownerUnknown(executor: facts.executorID ?? "") }
        guard owner.state == "active" || owner.state == "draining" else {
            // A new process may live in its slot.
            return .ownerGone(executor: owner.id, successors: Successors(facts.version, among: facts.executors))
        }
        // The heartbeat's interval is the owner's own affair. With so little of the lease left it is late by any measure.
        if owner.leaseRemainingSeconds < owner.leaseSeconds / 3 {
            return .ownerSilent(
                executor: owner.id,
                heartbeatAge: owner.heartbeatAgeSeconds,
                leaseRemaining: owner.leaseRemainingSeconds,
                successors: Successors(facts.version, among: facts.executors.filter { $0.id != owner.id })
            )
        }
        if owner.state == "draining" { return .ownerDraining(executor: owner.id) }
        let age = owner.heartbeatAgeSeconds
        switch facts.pause {
        case .sleep(let seconds, let until):
            return .sleeping(seconds: seconds, until: until, executor: owner.id, heartbeatAge: age)
        case .child(let id, let status, let others):
            return .awaitingChild(child: id, status: status, others: others, executor: owner.id, heartbeatAge: age)
        case nil:
            return .running(executor: owner.id, heartbeatAge: age)
        }
    }

    private static func enqueued(_ facts: WaitingFacts) -> WaitingReason {
        let queue = facts.queueName ?? ""
        if !facts.isPortable { return .foreignFormat }
        if facts.executors.isEmpty { return .noExecutor(application: facts.application) }
        var able = facts.executors
        if let version = facts.version {
            able = able.filter { $0.version == version }
            if able.isEmpty {
                return .noExecutorOfVersion(version: version, others: Set(facts.executors.map(\.version)).sorted())
            }
        } else {
            // What belongs to no application may be claimed by the latest version of any.
            able = able.filter(\.isOfLatestVersion)
            if able.isEmpty { return .notLatest(latest: Set(facts.executors.compactMap(\.latestVersion)).sorted()) }
        }
        let versionName = Set(able.map(\.version)).sorted().joined(separator: "' or '")
        able = able.filter(\.runsWorkflow)
        if able.isEmpty { return .workflowNotRegistered(name: facts.name, version: versionName) }
        if facts.queue?.isRegistered == false { return .queueNotRegistered(queue: queue) }
        able = able.filter(\.listensToQueue)
        if able.isEmpty { return .nobodyListens(queue: queue) }
        if let shared = facts.queue?.sharedLimits { return .sharedLimits(queue: queue, what: shared) }
        able = able.filter { !$0.isDraining }
        if able.isEmpty { return .allDraining(version: versionName) }
        if let limit = facts.queue?.workerConcurrency {
            able = able.filter { $0.runningOfQueue < limit }
            if able.isEmpty { return .queueLimit(queue: queue, limit: limit) }
        }
        let free = able.filter { $0.running < $0.capacity }
        if free.isEmpty {
            return .executorsFull(
                running: able.map(\.running).reduce(0, +),
                capacity: able.map(\.capacity).reduce(0, +)
            )
        }
        if let ahead = facts.queue?.ahead, ahead > 0 { return .behind(count: ahead, queue: queue) }
        return .next(queue: queue)
    }
}
