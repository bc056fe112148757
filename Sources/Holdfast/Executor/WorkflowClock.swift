// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// The time workflows live in: durable sleeps, waits between the attempts of a step, delays and deadlines.
///
/// Leases and heartbeats go by the database's clock and a monotonic one, whatever stands here. So do the time-outs of steps,
/// which measure code that really runs.
package protocol WorkflowClock: Sendable {
    /// Milliseconds since 1970.
    var now: Int64 { get }
    /// Delays that end by then are over, and deadlines by then have passed.
    var due: Int64 { get }
    /// How often delays and deadlines are looked at.
    var sweepInterval: Duration { get }
    /// When work may begin that is delayed by so much.
    func end(ofDelay delay: Duration) -> Int64
    /// Returns at the moment. Throws when the task is cancelled.
    ///
    /// - Parameter deadline: When the workflow is to be cancelled.
    func sleep(until moment: Int64, deadline: Int64?) async throws
    /// Returns after the duration. Throws when the task is cancelled.
    ///
    /// - Parameter deadline: When the workflow is to be cancelled.
    func sleep(for duration: Duration, deadline: Int64?) async throws
}

/// The host's clock.
struct SystemClock: WorkflowClock {
    var now: Int64 { epochMillisecondsNow() }
    var due: Int64 { self.now }
    var sweepInterval: Duration { .seconds(1) }

    func end(ofDelay delay: Duration) -> Int64 { self.now.addingClamped(delay.inMilliseconds) }

    /// In parts: the clock that was recorded may be set meanwhile, and timers know no time beyond some centuries.
    func sleep(until moment: Int64, deadline: Int64?) async throws {
        while true {
            let (remaining, overflow) = moment.subtractingReportingOverflow(self.now)
            guard overflow || remaining > 0 else { return }
            try await Task.sleep(for: overflow ? Self.longestNap : min(.milliseconds(remaining), Self.longestNap))
        }
    }

    func sleep(for duration: Duration, deadline: Int64?) async throws { try await Task.sleep(for: duration) }

    private static let longestNap: Duration = .seconds(3600)
}
