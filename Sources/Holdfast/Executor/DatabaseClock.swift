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
final class DatabaseClock: WorkflowClock {
    private let estimate = Mutex(ClockEstimate(origin: .now))

    /// - Parameter time: What the database said, in seconds since 1970.
    /// - Returns: By how much its clock has been set since the last answer, at least.
    @discardableResult
    func answered(_ time: Double, sentAt: ContinuousClock.Instant, receivedAt: ContinuousClock.Instant) -> Duration {
        self.estimate.withLock { $0.answered(.seconds(time), sentAt: sentAt, receivedAt: receivedAt) }
    }

    /// By how much it may be set without being noticed.
    var uncertainty: Duration { self.estimate.withLock { $0.uncertainty } }

    var now: Int64 {
        self.estimate.withLock { $0.time(at: .now) }?.inMilliseconds ?? epochMillisecondsNow()
    }

    var statementTime: Int64? { nil }
    var due: Int64? { nil }
    var sweepInterval: Duration { .seconds(1) }

    func end(ofDelay delay: Duration) -> Int64? { nil }

    /// In parts: the database's clock may be set meanwhile, and a virtual machine's timers stand still with it.
    func sleep(until moment: Int64, deadline: Int64?) async throws {
        while true {
            let (remaining, overflow) = moment.subtractingReportingOverflow(self.now)
            guard overflow || remaining > 0 else { return }
            try await Task.sleep(for: overflow ? Self.longestNap : min(.milliseconds(remaining), Self.longestNap))
        }
    }

    func sleep(for duration: Duration, deadline: Int64?) async throws { try await Task.sleep(for: duration) }

    private static let longestNap: Duration = .seconds(60)
}

/// Now by this host's clock, in milliseconds since 1970.
func epochMillisecondsNow() -> Int64 { Date().epochMilliseconds }
