// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What one schedule is about, drawn from its seed. Times are in milliseconds.
struct Settings: Sendable {
    var slots: Int
    var heartbeat: Int
    var selfStop: Int
    var lease: Int
    /// How many workflows an executor runs at once.
    var capacity: Int
    var workflows: Int
    /// How many in a hundred messages suffer.
    var badNetwork: Int
    /// How long faults go on.
    var trouble: Int
    var faults: Int
    /// How long it may take from the end of all trouble until everything is done.
    var patience: Int
    /// How far the database's clock is ahead.
    var skew: Int

    init(_ generator: inout SeededGenerator) {
        self.slots = generator.pick(2...4)
        self.heartbeat = generator.pick(400...1000)
        // More than three heartbeats may separate two renewals before nobody is trusted to judge any more.
        self.selfStop = self.heartbeat * generator.pick(2...5) + generator.pick(1...500)
        self.lease = self.selfStop + generator.pick(1...2 * self.heartbeat)
        self.capacity = generator.pick(1...4)
        self.workflows = generator.pick(2...7)
        self.badNetwork = generator.chance(40) ? 0 : generator.pick(1...20)
        self.trouble = self.lease * generator.pick(1...4)
        self.faults = generator.pick(1...8)
        self.patience = 20 * self.lease + 60_000
        self.skew = generator.pick(-5000...5000)
    }
}
