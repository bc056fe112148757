// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What another machine's wall clock says, estimated from its answers on our own monotonic clock.
///
/// Each answer was given after the question had been sent and before it arrived, which bounds the difference of the two
/// clocks; further answers narrow the bounds. The lower bound is taken, so that the estimate is never ahead: who waits for a
/// moment of the other clock does not wake before it. An answer outside the bounds says that the other clock has been set,
/// and begins new ones.
package struct ClockEstimate: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private let origin: Instant
    /// The other clock's time since 1970 at `origin`.
    private var bounds: ClosedRange<Duration>?

    package init(origin: Instant) { self.origin = origin }

    /// - Parameter time: What the other clock said, since 1970.
    /// - Returns: By how much it has been set, at least; negative: back. Zero unless the answer contradicts earlier ones.
    @discardableResult
    package mutating func answered(_ time: Duration, sentAt: Instant, receivedAt: Instant) -> Duration {
        let latest = time - (sentAt - self.origin)
        let earliest = min(latest, time - (receivedAt - self.origin))
        guard let bounds = self.bounds else {
            self.bounds = earliest...latest
            return .zero
        }
        guard earliest <= bounds.upperBound, latest >= bounds.lowerBound else {
            self.bounds = earliest...latest
            return earliest > bounds.upperBound ? earliest - bounds.upperBound : latest - bounds.lowerBound
        }
        self.bounds = max(earliest, bounds.lowerBound)...min(latest, bounds.upperBound)
        return .zero
    }

    /// By how much the other clock may be set without an answer that contradicts: the bounds are that far apart. After slow
    /// answers that is much, and less with every quick one.
    package var uncertainty: Duration { self.bounds.map { $0.upperBound - $0.lowerBound } ?? .zero }

    /// The other clock's time since 1970; `nil` before the first answer.
    package func time(at now: Instant) -> Duration? {
        self.bounds.map { $0.lowerBound + (now - self.origin) }
    }
}
