// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Decides when the next claim is due.
///
/// - A hint (new work, a freed slot with work known to wait) makes a claim due at once.
/// - While a backlog is known, claims wait until a good share of the slots is free, or for a short time: a claim for one
///   slot costs as much as one for two hundred.
/// - Otherwise the next claim is due after the polling interval, jittered so that a fleet does not poll in step.
package struct ClaimPacer: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package enum Decision: Sendable, Equatable {
        case claim
        /// Wait for a hint, a freed slot, or this moment.
        case wait(until: Instant)
    }

    /// The longest time a free slot waits for company while a backlog is known.
    package static let gathering: Duration = .milliseconds(20)

    private let pollInterval: Duration
    private var lastClaim: Instant?
    private var nextPoll: Instant?
    private var isHinted = true

    package init(pollInterval: Duration) { self.pollInterval = pollInterval }

    package mutating func hint() { self.isHinted = true }

    /// - Parameters:
    ///   - freeSlots: How many more workflows the executor can take.
    ///   - worthwhile: The number of free slots from which a claim is worth its statement.
    ///   - backlog: Whether the last claim left work behind.
    package func decide(now: Instant, freeSlots: Int, worthwhile: Int, backlog: Bool) -> Decision {
        let poll = self.nextPoll ?? now
        // Without a slot only a freed one can make a claim due; the caller is woken by it.
        guard freeSlots > 0 else { return .wait(until: now.advanced(by: self.pollInterval)) }
        if self.isHinted && !backlog { return .claim }
        if backlog {
            guard freeSlots < worthwhile, let last = self.lastClaim else { return .claim }
            let due = last.advanced(by: Self.gathering)
            return due <= now ? .claim : .wait(until: due)
        }
        return poll <= now ? .claim : .wait(until: poll)
    }

    /// A claim begins now. `jitter` multiplies the polling interval.
    package mutating func claiming(now: Instant, jitter: Double) {
        self.isHinted = false
        self.lastClaim = now
        self.nextPoll = now.advanced(by: self.pollInterval * jitter)
    }
}
