// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How long migrations wait, and for what.
package struct MigrationTiming: Sendable, Hashable {
    /// How long to wait for another SDK's migration before going on regardless.
    package var lockPatience: Duration = .seconds(30)
    /// How long to wait between two attempts to get the migration lock, or a table's.
    package var retryInterval: Duration = .seconds(1)
    /// How long to wait before the second attempt to get the migration lock. The pauses double up to ``retryInterval``:
    /// most creations take a fraction of a second, and programs that start together should not wait much longer.
    package var firstRetryInterval: Duration = .milliseconds(20)
    /// How long one attempt may queue for a table.
    ///
    /// An ALTER TABLE that waits behind a long transaction makes every later statement on the table wait too. So it gives
    /// up soon, lets the others pass, and comes back.
    package var tableLockTimeout: Duration = .seconds(3)
    /// How many attempts a table gets before the migration fails.
    package var tableLockAttempts: Int = 20

    package init() {}
}
