// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One executor's own view of its membership, on a monotonic clock.
///
/// The safety inequality is *self-stop < lease*: the database lets peers take over only after `lease` has passed since a
/// renewal arrived there, and the renewal arrived no earlier than it was sent. So an executor that stops when
/// `selfStop` has passed since it *sent* its last successful renewal has stopped before anyone may take over for that
/// reason. A lease session that ends is another reason, which waits for no lease: an executor that lives on without it, because
/// its connections were reset, may overlap with its successor until `selfStop`. The ownership tokens alone keep what it
/// writes out, in both cases. The same goes for a clock that stands still, as that of a virtual machine does with it.
///
/// States:
/// - *joining*: not a member; nothing may be claimed or written. Can transition to *member*, and to *replaced* when the slot
///   was found to belong to a newer process.
/// - *member*: claims and writes are allowed. Can transition to *joining* (fenced: too long without a renewal, or
///   declared dead by a peer) and to *replaced*.
/// - *replaced*: a newer process runs in this slot. Final.
package struct LivenessMachine: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package enum Action: Sendable, Equatable {
        case none
        /// Stop claiming, cancel everything that runs, write nothing more; then join again as a new incarnation.
        case fence
        /// As `fence`, but for good: the slot belongs to a newer process.
        case stop
    }

    package enum RenewalAnswer: Sendable {
        /// The database renewed the lease. `serverEpoch` names the running server (its start time).
        case renewed(serverEpoch: String)
        /// The row is no longer alive: a peer declared this incarnation dead, or this process has joined again since.
        case declaredDead
        /// The row ended because a newer process took the slot.
        case superseded
    }

    private enum State: Sendable {
        case joining
        case member(Membership)
        case replaced
    }

    private struct Membership: Sendable {
        var joinedAt: Instant
        var lastRenewal: Instant
        var trustedSince: Instant
        var serverEpoch: String
    }

    private var state: State = .joining
    private var sessionTrustedFrom: Instant?
    private var hadSession = false
    private let heartbeat: Duration
    private let selfStop: Duration
    private let lease: Duration

    package init(heartbeat: Duration, selfStop: Duration, lease: Duration) {
        precondition(heartbeat < selfStop && selfStop < lease, "heartbeat < self-stop < lease must hold")
        self.heartbeat = heartbeat
        self.selfStop = selfStop
        self.lease = lease
    }

    package var isMember: Bool {
        if case .member = self.state { true } else { false }
    }

    package var isReplaced: Bool {
        if case .replaced = self.state { true } else { false }
    }

    /// The moment at which the executor must stop unless a renewal succeeds before.
    package var selfStopAt: Instant? {
        guard case .member(let membership) = self.state else { return nil }
        return membership.lastRenewal.advanced(by: self.selfStop)
    }

    /// Whether it is a member and the moment of self-stop has not come, also when nobody has ticked yet: a process that wakes
    /// from a freeze asks before its clock is looked at.
    package func holdsLease(now: Instant) -> Bool {
        guard let end = self.selfStopAt else { return false }
        return now < end
    }

    /// Whether this executor may call an expired lease a death.
    ///
    /// Only after a full lease of uninterrupted renewals on the same server: after a restart or failover of Postgres, after
    /// its clock was set, or after this executor was cut off itself, every lease looks expired although nobody died.
    package func mayJudgeLeases(now: Instant) -> Bool {
        guard case .member(let membership) = self.state else { return false }
        // A gap need not be over to be one.
        return !self.isGap(from: membership.lastRenewal, to: now)
            && now >= membership.trustedSince.advanced(by: self.lease)
    }

    /// Whether this executor may call a vanished lease session a death.
    ///
    /// Not without a session of its own, and not for half a lease after it lost one: when the server ends all sessions at
    /// once, as it does after the crash of one backend, everybody's is gone although nobody died. Who has just begun cannot know
    /// whether that happened, and gives the others three heartbeats to say that they live.
    package func mayJudgeSessions(now: Instant) -> Bool {
        guard self.isMember, let trusted = self.sessionTrustedFrom else { return false }
        return now >= trusted
    }

    /// What this executor may call a death; `nil`: it is no member.
    package func judgement(now: Instant) -> ReclaimMachine.Judgement? {
        guard self.isMember else { return nil }
        return ReclaimMachine.Judgement(
            leases: self.mayJudgeLeases(now: now),
            sessions: self.mayJudgeSessions(now: now)
        )
    }

    package mutating func sessionOpened(now: Instant) {
        self.sessionTrustedFrom = now.advanced(by: self.hadSession ? self.lease / 2 : self.heartbeat * 3)
        self.hadSession = true
    }

    package mutating func sessionClosed() { self.sessionTrustedFrom = nil }

    /// Leases are trusted from the answer on, and not from the question: what became of the database's clock in between cannot be
    /// known.
    package mutating func joined(sentAt: Instant, now: Instant, serverEpoch: String) {
        guard !self.isReplaced else { return }
        self.state = .member(
            Membership(joinedAt: sentAt, lastRenewal: sentAt, trustedSince: now, serverEpoch: serverEpoch)
        )
    }

    /// The database let this process not join again, because a newer one runs in its slot.
    package mutating func refused() -> Action {
        guard case .joining = self.state else { return .none }
        self.state = .replaced
        return .stop
    }

    /// The database's clock was set: leases look older or newer than they are, until all have been renewed since.
    ///
    /// Less than half of the time between self-stop and lease does no harm: leases that end so much too early still end
    /// after the self-stop.
    ///
    /// - Parameters:
    ///   - jump: By how much, at least.
    ///   - uncertainty: By how much it may have been set unnoticed.
    package mutating func databaseClockWasSet(by jump: Duration, uncertainty: Duration = .zero, now: Instant) {
        let distance = max(jump < .zero ? .zero - jump : jump, uncertainty)
        guard distance > min(self.heartbeat, (self.lease - self.selfStop) / 2),
            case .member(var membership) = self.state
        else { return }
        membership.trustedSince = max(membership.trustedSince, now)
        self.state = .member(membership)
    }

    /// An answer to what was sent before the join is about an earlier life of this process, which that join has ended.
    package mutating func answered(_ answer: RenewalAnswer, sentAt: Instant, now: Instant) -> Action {
        guard case .member(var membership) = self.state, sentAt >= membership.joinedAt else { return .none }
        switch answer {
        case .renewed(let serverEpoch):
            if self.selfStopPassed(since: membership.lastRenewal, now: now) {
                self.state = .joining
                return .fence
            }
            // An answer that a later one has overtaken tells nothing new.
            guard sentAt >= membership.lastRenewal else { return .none }
            if serverEpoch != membership.serverEpoch || self.isGap(from: membership.lastRenewal, to: sentAt) {
                membership.trustedSince = now
            }
            membership.lastRenewal = sentAt
            membership.serverEpoch = serverEpoch
            self.state = .member(membership)
            return .none
        case .declaredDead:
            self.state = .joining
            return .fence
        case .superseded:
            self.state = .replaced
            return .stop
        }
    }

    /// Time has passed. Must be called at `selfStopAt` at the latest.
    package mutating func tick(now: Instant) -> Action {
        guard case .member(let membership) = self.state,
            self.selfStopPassed(since: membership.lastRenewal, now: now)
        else { return .none }
        self.state = .joining
        return .fence
    }

    private func isGap(from earlier: Instant, to later: Instant) -> Bool { later - earlier > self.heartbeat * 3 }

    private func selfStopPassed(since lastRenewal: Instant, now: Instant) -> Bool {
        now >= lastRenewal.advanced(by: self.selfStop)
    }
}
