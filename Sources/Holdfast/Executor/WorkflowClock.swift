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
    /// What statements take for the present; `nil`: what the database's own clock says.
    var statementTime: Int64? { get }
    /// Delays that end by then are over, and deadlines by then have passed; `nil`: by what the database's own clock says.
    var due: Int64? { get }
    /// How often delays and deadlines are looked at.
    var sweepInterval: Duration { get }
    /// When work may begin that is delayed by so much; `nil`: so much after the database stores it.
    func end(ofDelay delay: Duration) -> Int64?
    /// Returns at the moment. Throws when the task is cancelled.
    ///
    /// - Parameter deadline: When the workflow is to be cancelled.
    func sleep(until moment: Int64, deadline: Int64?) async throws
    /// Returns after the duration. Throws when the task is cancelled.
    ///
    /// - Parameter deadline: When the workflow is to be cancelled.
    func sleep(for duration: Duration, deadline: Int64?) async throws
}
