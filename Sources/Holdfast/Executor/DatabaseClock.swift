// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The database's wall clock, as an executor knows it from its renewals.
///
/// Whatever is recorded as a moment and read by another process is on this clock: hosts disagree, and their clocks are set.
/// Before the first answer, and in clients that join no fleet, it is the host's.
final class DatabaseClock: Sendable {
    private let estimate = Mutex(ClockEstimate(origin: .now))

    /// - Parameter time: What the database said, in seconds since 1970.
    /// - Returns: By how much its clock has been set since the last answer, at least.
    @discardableResult
    func answered(_ time: Double, sentAt: ContinuousClock.Instant, receivedAt: ContinuousClock.Instant) -> Duration {
        self.estimate.withLock { $0.answered(.seconds(time), sentAt: sentAt, receivedAt: receivedAt) }
    }

    /// Now, in milliseconds since 1970.
    var milliseconds: Int64 {
        self.estimate.withLock { $0.time(at: .now) }?.inMilliseconds ?? epochMillisecondsNow()
    }
}

/// Now by this host's clock, in milliseconds since 1970.
func epochMillisecondsNow() -> Int64 { Date().epochMilliseconds }
