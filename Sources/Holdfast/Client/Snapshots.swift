// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// What the database says of one workflow at one moment.
public struct WorkflowSnapshot: Sendable, Codable {
    /// Its id.
    public var id: WorkflowID
    /// Its state.
    public var status: WorkflowStatus
    /// The name it is registered under.
    public var name: WorkflowName
    /// The queue it was put on; `nil` for a direct start, and after a cancellation.
    public var queue: QueueName?
    /// The executor that runs it or ran it last.
    public var executorID: ExecutorID?
    /// The application it belongs to; `nil`: any.
    public var applicationName: String?
    /// The version it belongs to; `nil`: the latest.
    public var applicationVersion: String?
    /// When it was stored, by the database's clock.
    public var createdAt: Date
    /// When its row changed last.
    public var updatedAt: Date
    /// When it was claimed last; `nil` while it waits, and for direct starts.
    public var startedAt: Date?
    /// When it was settled.
    public var completedAt: Date?
    /// How often it was dispatched.
    public var recoveryAttempts: Int
    /// Its priority; 0 is the highest.
    public var priority: Int
    /// The workflow that started it.
    public var parentID: WorkflowID?
    /// The workflow it was forked from.
    public var forkedFrom: WorkflowID?
    /// Its deduplication id while it holds one.
    public var deduplicationID: String?
    /// Its time-out from start to end.
    public var timeout: Duration?
    /// The moment after which it is cancelled.
    public var deadline: Date?
    /// The moment before which it is not claimed.
    public var delayedUntil: Date?
    /// The format of its input, output and error.
    public var serialization: String?
    /// Its arguments as stored; `nil` unless payloads were asked for.
    public var input: String?
    /// Its output as stored.
    public var output: String?
    /// Its error as stored.
    public var error: String?
}

/// What the database says of one step.
public struct StepSnapshot: Sendable, Codable {
    /// Its number.
    public var id: StepID
    /// Its recorded name.
    public var name: String
    /// Its output as stored.
    public var output: String?
    /// Its error as stored.
    public var error: String?
    /// The child it started or awaited.
    public var childID: WorkflowID?
    /// When it began, by the database's clock as its executor knew it.
    public var startedAt: Date?
    /// When it ended, by the same clock; for a sleep the moment of waking up.
    public var completedAt: Date?
    /// The format of its output or error.
    public var serialization: String?
}

/// One executor as the database sees it.
public struct FleetMember: Sendable, Codable {
    /// The state of a member.
    public struct State: RawRepresentable, Hashable, Sendable, Codable {
        /// The text in `state`.
        public let rawValue: String
        /// Makes the state from its text.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// Claims and runs work.
        public static let active = State(rawValue: "active")
        /// Shutting down: finishes steps, claims nothing.
        public static let draining = State(rawValue: "draining")
        /// Left in good order.
        public static let stopped = State(rawValue: "stopped")
        /// Declared dead by a peer, or superseded in its slot.
        public static let dead = State(rawValue: "dead")
    }

    /// The slot.
    public var executorID: ExecutorID
    /// The life of the process in the slot.
    public var incarnation: String
    /// The application.
    public var applicationName: String
    /// The version.
    public var applicationVersion: String
    /// The state.
    public var state: State
    /// The host it runs on.
    public var host: String
    /// Its process id there.
    public var pid: Int
    /// How many workflows it runs at most.
    public var capacity: Int
    /// How many held a slot at its last heartbeat; those that sleep or await a child hold none.
    public var running: Int
    /// When it joined.
    public var startedAt: Date
    /// The time since its last heartbeat, by the database's clock.
    public var heartbeatAge: Duration
    /// The time until its lease expires; negative when it has.
    public var leaseRemaining: Duration
    /// Whether a session of its own lets peers see its death at once.
    public var hasLeaseSession: Bool
    /// Why it ended: `shutdown`, `lease_expired`, `session_lost`, `superseded` (a new process took its slot), `replaced`
    /// (one did while this one was alive) or `rejoined` (its process stopped by itself and joined again).
    public var endReason: String?
    /// Who ended it.
    public var endedBy: ExecutorID?
    /// The running workflows it owns.
    public var ownedWorkflows: Int
    /// Whether it was asked to drain. It hears of that with its next heartbeat, and is `draining` from then on.
    public var isDrainRequested: Bool
}

/// One change of a workflow's owner that its owner did not make.
public struct Takeover: Sendable, Codable {
    /// Who lost it.
    public var from: ExecutorID
    /// Who put it back into its queue; `operator`: somebody who gave it to another version.
    public var by: ExecutorID
    /// The version it belonged to.
    public var applicationVersion: String?
    /// Why the former owner was taken for gone.
    public var reason: String
    /// How many executors had died under it since its last checkpoint; 0 when its executor lived on, or it has only waited for
    /// more than a minute.
    public var strikes: Int
    /// What followed: `requeued`, `delayed` or `quarantined`.
    public var decision: String
    /// When, by the database's clock.
    public var at: Date
}

extension Date {
    init(epochMilliseconds: Int) { self.init(timeIntervalSince1970: Double(epochMilliseconds) / 1000) }
    /// Dates beyond the range of the column are taken for its end.
    var epochMilliseconds: Int64 {
        let milliseconds = (self.timeIntervalSince1970 * 1000).rounded()
        return Int64(exactly: milliseconds) ?? (milliseconds < 0 ? .min : .max)
    }
}
