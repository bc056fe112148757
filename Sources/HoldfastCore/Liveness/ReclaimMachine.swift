// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How one executor buries its peers and puts their work back into its queues.
///
/// It handles one finding at a time:
/// - *confirming*: suspects whose session is gone are looked at again after a moment, because a live process takes its lock
///   again at once; those whose lease looks expired for long, after more than a heartbeat, because a live process renews it.
///   Then *declaring*.
/// - *declaring*: the database is asked to declare them dead; it looks again itself. Then *reclaiming* those that are of our
///   version, or finished.
/// - *reclaiming*: their work is put back in bounded batches, until a batch is not full. Then *marking*.
/// - *marking*: the database is told to list those no more that own nothing. Then finished.
///
/// An error ends the handling of a finding at any point, as does the end of this executor's own membership. Nothing is lost by
/// that: who is not marked stays listed, and is found again by the next renewal of any peer of that version.
package struct ReclaimMachine: Sendable {
    /// A watched peer that looks gone.
    package struct Suspect: Sendable, Hashable {
        package var incarnation: String
        /// Which lease of its it is about: who has renewed since is not suspected because of this one.
        package var lease: String
        package var isLeaseExpired: Bool
        /// Whether its lease looks expired for so long that somebody should have seen it before, or ends too far ahead. The
        /// database's clock may have been set, there and back again, while nobody looked.
        package var isOverdue: Bool
        package var isSessionGone: Bool

        package init(
            incarnation: String,
            lease: String,
            isLeaseExpired: Bool,
            isOverdue: Bool,
            isSessionGone: Bool
        ) {
            self.incarnation = incarnation
            self.lease = lease
            self.isLeaseExpired = isLeaseExpired
            self.isOverdue = isOverdue
            self.isSessionGone = isSessionGone
        }

        /// What of the suspicion is fair.
        func judged(by judgement: Judgement) -> Suspect? {
            var suspect = self
            suspect.isLeaseExpired = self.isLeaseExpired && judgement.leases
            suspect.isSessionGone = self.isSessionGone && judgement.sessions
            return suspect.isLeaseExpired || suspect.isSessionGone ? suspect : nil
        }
    }

    /// An ended incarnation that may still own work.
    package struct Dead: Sendable, Hashable {
        package var incarnation: String
        package var executorID: String
        package var reason: String

        package init(incarnation: String, executorID: String, reason: String) {
            self.incarnation = incarnation
            self.executorID = executorID
            self.reason = reason
        }
    }

    /// What may be called a death.
    package struct Judgement: Sendable, Hashable {
        /// An expired lease.
        package var leases: Bool
        /// A vanished lease session.
        package var sessions: Bool

        package init(leases: Bool, sessions: Bool) {
            self.leases = leases
            self.sessions = sessions
        }

        /// Those who may be taken for dead, each for what it is rightly suspected of.
        package func fair(_ suspects: [Suspect]) -> [Suspect] { suspects.compactMap { $0.judged(by: self) } }
    }

    package enum Finding: Sendable, Equatable {
        /// What was a fair suspicion when they were found.
        case suspects([Suspect])
        case unreclaimed([Dead])
    }

    package enum Action: Sendable, Equatable {
        /// Nothing is left to do for this finding.
        case finish
        /// Look again after this time: `confirmed`.
        case wait(Duration)
        /// Answered by `declared`.
        case declareDead([Suspect])
        /// One batch of at most `batch` workflows, answered by `reclaimed`.
        case reclaim([Dead])
        /// Answered by `marked`.
        case markReclaimed([Dead])
        /// Look at the peers again at once, because some were just found dead; then finish.
        case lookAgain
    }

    private enum State: Sendable {
        case idle
        case confirming([Suspect])
        case declaring
        case reclaiming([Dead], isBurial: Bool)
        case marking(isBurial: Bool)
    }

    private var state: State = .idle
    private let confirmation: Duration
    private let secondLook: Duration
    private let batch: Int

    /// - Parameters:
    ///   - confirmation: How long after it was found gone a session is looked at again.
    ///   - secondLook: How long after it was found an overdue lease is looked at again: more than a heartbeat, so that whoever
    ///     lives has renewed it.
    ///   - batch: The most workflows that one statement puts back.
    package init(confirmation: Duration, secondLook: Duration, batch: Int) {
        self.confirmation = confirmation
        self.secondLook = secondLook
        self.batch = batch
    }

    /// Begins to handle a finding; what was under way is forgotten.
    ///
    /// - Parameter standing: What this executor may call a death at this moment; `nil` when it is no member.
    package mutating func found(_ finding: Finding, standing: Judgement?) -> Action {
        self.state = .idle
        guard standing != nil else { return .finish }
        switch finding {
        case .unreclaimed(let dead):
            return self.reclaim(dead, isBurial: false)
        case .suspects(let suspects):
            self.state = .confirming(suspects)
            if suspects.contains(where: { $0.isLeaseExpired && $0.isOverdue }) { return .wait(self.secondLook) }
            guard suspects.allSatisfy(\.isLeaseExpired) else { return .wait(self.confirmation) }
            return self.confirmed(standing: standing)
        }
    }

    /// The time for a second look has come. What was a fair judgement when the suspects were found need not be one now.
    package mutating func confirmed(standing: Judgement?) -> Action {
        guard case .confirming(let suspects) = self.state, let standing else { return self.finish() }
        let fair = standing.fair(suspects)
        guard !fair.isEmpty else { return self.finish() }
        self.state = .declaring
        return .declareDead(fair)
    }

    /// - Parameters:
    ///   - ended: Those whom the database has declared dead now.
    ///   - ours: Those among them that are of this executor's version.
    package mutating func declared(_ ended: [Dead], ours: [Dead], isMember: Bool) -> Action {
        guard case .declaring = self.state, isMember, !ended.isEmpty else { return self.finish() }
        guard ours.isEmpty else { return self.reclaim(ours, isBurial: true) }
        _ = self.finish()
        return .lookAgain
    }

    /// - Parameter count: How many workflows the batch has put back.
    package mutating func reclaimed(_ count: Int, isMember: Bool) -> Action {
        guard case .reclaiming(let dead, let isBurial) = self.state, isMember else { return self.finish() }
        if count >= self.batch { return .reclaim(dead) }
        self.state = .marking(isBurial: isBurial)
        return .markReclaimed(dead)
    }

    package mutating func marked() -> Action {
        guard case .marking(let isBurial) = self.state else { return self.finish() }
        _ = self.finish()
        return isBurial ? .lookAgain : .finish
    }

    private mutating func reclaim(_ dead: [Dead], isBurial: Bool) -> Action {
        self.state = .reclaiming(dead, isBurial: isBurial)
        return .reclaim(dead)
    }

    private mutating func finish() -> Action {
        self.state = .idle
        return .finish
    }
}
