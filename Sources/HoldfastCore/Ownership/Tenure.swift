// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What this process may own and begin, and under which name: an executor's own view of its right to work.
///
/// States:
/// - *shut*: no member of the fleet; it makes no token and owns nothing. Can transition to *open*.
/// - *open*: it owns work under tokens of one incarnation. Can transition to *shut* (fenced), and to *open* under another
///   incarnation.
///
/// The moment of self-stop is kept apart from both: a process that was frozen runs on where it stood, *open*, before anything
/// in it can notice that its time is over; the clock tells at once.
package struct Tenure: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private var tokens: TokenSequence?
    private var selfStopAt: Instant?

    package init() {}

    /// Whether this process may own work.
    package var isOpen: Bool { self.tokens != nil }

    /// The process is a member: it may own work under tokens of this incarnation.
    package mutating func open(_ incarnation: Incarnation) { self.tokens = TokenSequence(incarnation: incarnation) }

    /// The process must assume that it is taken for dead.
    package mutating func shut() { self.tokens = nil }

    /// The lease was renewed, or is over (`nil`).
    package mutating func renewed(selfStopAt: Instant?) { self.selfStopAt = selfStopAt }

    /// A fresh token; `nil` while nothing may be owned.
    package mutating func nextToken() -> String? { self.tokens?.next() }

    /// Whether a token is of the present incarnation. A start that waited for the database may carry an older one.
    package func isCurrent(_ token: String) -> Bool { self.tokens?.made(token) ?? false }

    /// Whether steps may begin at `now`.
    package func mayBeginSteps(now: Instant) -> Bool { self.selfStopAt.map { now < $0 } ?? false }
}
