// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

/// *Self-stop < lease*: whatever the network, the executor's process and the servers do, an executor has stopped before
/// anybody may take over its work.
@Suite("Membership in the fleet, whatever happens")
struct LivenessSimulationTests {
    private static func run(
        _ seeds: Range<UInt64>,
        stamp: LivenessSimulation.Stamp = .sending,
        watch: LivenessSimulation.Watch = .punctual
    ) -> LivenessSimulation.Tally {
        var sum = LivenessSimulation.Tally()
        for seed in seeds { sum += LivenessSimulation.run(seed: seed, stamp: stamp, watch: watch) }
        return sum
    }

    @Test("Twenty thousand schedules break no promise", arguments: 0..<4 as Range<UInt64>)
    func promises(part: UInt64) {
        let tally = Self.run(part * 5000..<(part + 1) * 5000)
        #expect(tally.violations.isEmpty)
        // The schedules do reach what they are about.
        #expect(tally.fences > 1000)
        #expect(tally.takeovers > 1000)
        #expect(tally.replacements > 100)
        #expect(tally.judgements > 1000)
    }

    // The checker must be able to fail: two executors that are wrong, and what it says about them.

    @Test("An executor that counts from the answer's arrival would work without a lease")
    func countingFromTheAnswer() {
        let tally = Self.run(0..<1000, stamp: .answer)
        #expect(tally.violations[.workedWithoutLease, default: 0] > 0)
        #expect(tally.violations[.fencedTooLate, default: 0] > 0)
    }

    @Test("An executor that watches no clock would stop too late")
    func watchingNoClock() {
        let tally = Self.run(0..<1000, watch: .none)
        #expect(tally.violations[.fencedTooLate, default: 0] > 0)
    }
}
