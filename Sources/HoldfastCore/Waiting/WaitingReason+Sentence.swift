// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension WaitingReason {
    /// A stable name for scripts.
    package var code: String {
        switch self {
        case .settled: "settled"
        case .delayed: "delayed"
        case .running: "running"
        case .sleeping: "sleeping"
        case .awaitingChild: "awaiting_child"
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
            Self.runs(executor, age)
        case .sleeping(let left, let until, let executor, let age):
            "it sleeps \(until.map { "until \($0), " } ?? "")\(Self.duration(left)) more; \(Self.runs(executor, age))"
        case .awaitingChild(let child, let status, let others, let executor, let age):
            "it has started child '\(child)', which is \(status)"
                + (others > 0 ? ", and \(others) more that are open" : "")
                + "; ask why that one waits; \(Self.runs(executor, age))"
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
        case .noExecutor(let application):
            "no executor\(application.map { " of application '\($0)'" } ?? "") is alive; start one"
        case .noExecutorOfVersion(let version, let others):
            Successors(version: version, exist: false, others: others).absence("is alive")
        case .notLatest(let latest):
            "it belongs to the latest version, '\(latest.joined(separator: "' or '"))', of which no executor is alive; "
                + "start one, or make another latest"
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

    private static func runs(_ executor: String, _ age: Double) -> String {
        "executor '\(executor)' runs it; its heartbeat is \(Self.duration(age)) old"
    }

    /// `85 ms`, `4.2 s`, `59 s`, `12 min`, `30 h`, `3 d`.
    fileprivate static func duration(_ seconds: Double) -> String {
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

extension WaitingFacts.Queue {
    /// Limits that the whole fleet shares, in words.
    var sharedLimits: String? {
        let limits = [
            self.concurrency.map { "at most \($0) running in the whole fleet, \(self.pending) are" },
            self.rateLimit.map { "at most \($0) starts in \(WaitingReason.duration(self.ratePeriodSeconds ?? 0))" },
            self.partitionConcurrency.map { "at most \($0) running of each partition" },
            self.partitionWorkerConcurrency.map { "at most \($0) running of each partition on one executor" },
            self.partitionRateLimit.map {
                "at most \($0) starts of each partition in \(WaitingReason.duration(self.partitionRatePeriodSeconds ?? 0))"
            },
        ].compactMap(\.self)
        return limits.isEmpty ? nil : limits.joined(separator: "; ")
    }
}
