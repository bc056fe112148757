// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The one fact that keeps a workflow from going on.
package enum WaitingReason: Sendable, Equatable {
    case settled(status: String)
    case delayed(seconds: Double, strikes: Int)
    case running(executor: String, heartbeatAge: Double)
    case ownerDraining(executor: String)
    case ownerSilent(executor: String, heartbeatAge: Double, leaseRemaining: Double, successors: Successors)
    case ownerGone(executor: String, successors: Successors)
    case ownerUnknown(executor: String)
    case foreignFormat
    case noExecutor(application: String)
    case noExecutorOfVersion(version: String, others: [String])
    case notLatest(latest: String)
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
            self = .delayed(seconds: max(0, facts.delayRemainingSeconds ?? 0), strikes: facts.strikes)
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
        // Two heartbeats late is worth saying; the interval itself is a second by default.
        if owner.heartbeatAgeSeconds > 3 {
            return .ownerSilent(
                executor: owner.id,
                heartbeatAge: owner.heartbeatAgeSeconds,
                leaseRemaining: owner.leaseRemainingSeconds,
                successors: Successors(facts.version, among: facts.executors.filter { $0.id != owner.id })
            )
        }
        if owner.state == "draining" { return .ownerDraining(executor: owner.id) }
        return .running(executor: owner.id, heartbeatAge: owner.heartbeatAgeSeconds)
    }

    private static func enqueued(_ facts: WaitingFacts) -> WaitingReason {
        let queue = facts.queueName ?? ""
        if !facts.isPortable { return .foreignFormat }
        if facts.executors.isEmpty { return .noExecutor(application: facts.application ?? "") }
        let version = facts.version ?? facts.latestVersion
        var able = facts.executors
        if let version {
            able = able.filter { $0.version == version }
            if able.isEmpty {
                return facts.version == nil
                    ? .notLatest(latest: version)
                    : .noExecutorOfVersion(version: version, others: Set(facts.executors.map(\.version)).sorted())
            }
        }
        let versionName = version ?? "any"
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

extension WaitingFacts.Queue {
    /// Limits that the whole fleet shares, in words.
    fileprivate var sharedLimits: String? {
        if let concurrency { return "at most \(concurrency) running in the whole fleet, \(self.pending) are" }
        if let rateLimit { return "at most \(rateLimit) starts in \(self.ratePeriodSeconds ?? 0) s" }
        return self.hasPartitionLimits ? "limits per partition" : nil
    }
}

extension WaitingReason {
    /// A stable name for scripts.
    package var code: String {
        switch self {
        case .settled: "settled"
        case .delayed: "delayed"
        case .running: "running"
        case .ownerDraining: "owner_draining"
        case .ownerSilent: "owner_silent"
        case .ownerGone: "owner_gone"
        case .ownerUnknown: "owner_unknown"
        case .foreignFormat: "foreign_format"
        case .noExecutor: "no_executor"
        case .noExecutorOfVersion: "no_executor_of_version"
        case .notLatest: "no_executor_of_latest_version"
        case .workflowNotRegistered: "workflow_not_registered"
        case .queueNotRegistered: "queue_not_registered"
        case .nobodyListens: "nobody_listens"
        case .sharedLimits: "shared_limits"
        case .allDraining: "all_draining"
        case .queueLimit: "queue_limit"
        case .executorsFull: "executors_full"
        case .behind: "behind"
        case .next: "next"
        }
    }

    /// One sentence with the blocking fact, and what to do about it where that is not obvious.
    package var sentence: String {
        switch self {
        case .settled(let status): "it does not wait: it is \(status)"
        case .delayed(let left, let strikes) where strikes > 1:
            "it waits \(Self.duration(left)) more, because \(strikes) executors died under it without a new checkpoint"
        case .delayed(let left, _): "it was delayed and may begin in \(Self.duration(left))"
        case .running(let executor, let age):
            "executor '\(executor)' runs it; its heartbeat is \(Self.duration(age)) old"
        case .ownerDraining(let executor):
            "executor '\(executor)' is draining: it ends the step that is under way and hands the workflow over"
        case .ownerSilent(let executor, let age, let left, let successors):
            "executor '\(executor)' owns it, but its heartbeat is \(Self.duration(age)) old and its lease "
                + (left > 0 ? "ends in \(Self.duration(left))" : "has expired") + "; "
                + (!successors.exist
                    ? successors.absence("can take it over")
                    : left > 0 ? "then a peer takes over" : "a peer is about to take over")
        case .ownerGone(let executor, let successors):
            "executor '\(executor)', which owned it, is gone; "
                + (successors.exist
                    ? "an executor of version '\(successors.version)' is about to take it over"
                    : successors.absence("can take it over"))
        case .ownerUnknown(let executor):
            "executor '\(executor)' owns it, which is not a member of this fleet; its own program must recover it"
        case .foreignFormat: "its input is not portable JSON, so only programs of the language that wrote it can run it"
        case .noExecutor(let application): "no executor of application '\(application)' is alive; start one"
        case .noExecutorOfVersion(let version, let others):
            Successors(version: version, exist: false, others: others).absence("is alive")
        case .notLatest(let latest):
            "it belongs to the latest version, '\(latest)', of which no executor is alive; start one, or make another latest"
        case .workflowNotRegistered(let name, let version):
            "no live executor of version '\(version)' registers workflow '\(name)'"
        case .queueNotRegistered(let queue):
            "queue '\(queue)' is not registered, so nobody claims from it; name it among the queues of an executor"
        case .nobodyListens(let queue): "no live executor that could run it claims from queue '\(queue)'"
        case .sharedLimits(let queue, let what):
            "queue '\(queue)' has a limit that all executors share (\(what)), which Holdfast's executors do not enforce yet and "
                + "therefore leave alone"
        case .allDraining(let version): "every live executor of version '\(version)' is draining"
        case .queueLimit(let queue, let limit):
            "every executor runs its limit of \(limit) workflows of queue '\(queue)'"
        case .executorsFull(let running, let capacity):
            "every executor that could run it is full: they run \(running) of at most \(capacity) workflows"
        case .behind(let count, let queue): "\(count) workflows come before it on queue '\(queue)'"
        case .next(let queue): "it is next on queue '\(queue)' and will be claimed at once"
        }
    }

    /// `85 ms`, `4.2 s`, `59 s`, `12 min`, `30 h`, `3 d`.
    private static func duration(_ seconds: Double) -> String {
        switch max(0, seconds) {
        case let value where value < 0.0995: "\(Int((value * 1000).rounded())) ms"
        case let value where value < 9.95: "\((value * 10).rounded() / 10) s"
        case let value where value < 119.5: "\(Int(value.rounded())) s"
        case let value where value < 7170: "\(Int((value / 60).rounded())) min"
        case let value where value < 171_000: "\(Int((value / 3600).rounded())) h"
        case let value: "\(Int(min(value / 86_400, 1e9).rounded())) d"
        }
    }
}

extension WaitingReason.Successors {
    /// That nobody can take over, and what to do about it.
    fileprivate func absence(_ what: String) -> String {
        let there = self.others.isEmpty ? "" : " (there are \(self.others.joined(separator: ", ")))"
        return "no executor of version '\(self.version)' \(what)\(there); start one, or re-pin the work"
    }
}
