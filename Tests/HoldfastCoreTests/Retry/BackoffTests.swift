// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

@Suite("Waiting times")
struct BackoffTests {
    private static let plain = Backoff(base: .seconds(1), factor: 2, cap: .seconds(60))

    private static func seconds(_ backoff: Backoff, attempt: Int) -> Double {
        var generator = SeededGenerator(seed: 1)
        return backoff.delay(attempt: attempt, using: &generator).inSeconds
    }

    @Test(
        "They grow by the factor up to the cap, and attempts count from 0",
        arguments: [(-1, 1), (0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (1000, 60)]
    )
    func growth(attempt: Int, seconds: Double) {
        #expect(Self.seconds(Self.plain, attempt: attempt) == seconds)
    }

    @Test("Any attempt is answered at once", arguments: [1023, 1024, 1025, 1_000_000, Int.max])
    func hugeAttempts(_ attempt: Int) {
        #expect(Self.seconds(Self.plain, attempt: attempt) == 60)
        #expect(Self.seconds(Backoff(base: .seconds(3), factor: 1, cap: .seconds(60)), attempt: attempt) == 3)
        #expect(Self.seconds(Backoff(base: .seconds(3), factor: 0.5, cap: .seconds(60)), attempt: attempt) < 1e-18)
        #expect(Self.seconds(Backoff(base: .seconds(3), factor: 0, cap: .seconds(60)), attempt: attempt) == 0)
        #expect(Self.seconds(Backoff(base: .zero, factor: 2, cap: .seconds(60)), attempt: attempt) == 0)
    }

    @Test("A base beyond the cap is capped")
    func capBelowBase() {
        #expect(Self.seconds(Backoff(base: .seconds(9), factor: 2, cap: .seconds(5)), attempt: 0) == 5)
        #expect(Self.seconds(Backoff(base: .seconds(9), factor: 2, cap: .zero), attempt: 3) == 0)
    }

    @Test("Senseless settings never lead to a negative wait or a crash")
    func senselessSettings() {
        for attempt in [0, 1, 2, 5000] {
            #expect(Self.seconds(Backoff(base: .seconds(-1), factor: 2, cap: .seconds(60)), attempt: attempt) == 0)
            #expect(Self.seconds(Backoff(base: .seconds(1), factor: 2, cap: .seconds(-60)), attempt: attempt) == 0)
            #expect(Self.seconds(Backoff(base: .seconds(1), factor: -2, cap: .seconds(60)), attempt: attempt) >= 0)
            let undefined = Self.seconds(Backoff(base: .seconds(1), factor: .nan, cap: .seconds(60)), attempt: attempt)
            #expect((0...60).contains(undefined))
            #expect(
                Self.seconds(Backoff(base: .seconds(1), factor: .infinity, cap: .seconds(60)), attempt: attempt)
                    == (attempt == 0 ? 1 : 60)
            )
        }
    }

    @Test("The longest durations are no trouble")
    func longest() {
        let longest = Backoff(base: .seconds(Int64.max), factor: 2, cap: .seconds(Int64.max), jitter: 0.5...1.5)
        var generator = SeededGenerator(seed: 1)
        for attempt in [0, 1, 100] { #expect(longest.delay(attempt: attempt, using: &generator) == .century) }
    }

    @Test("The jitter spreads over its whole range and never leaves it", arguments: 0...8)
    func jitter(attempt: Int) {
        var generator = SeededGenerator(seed: 7)
        let nominal = min(2, 0.1 * Double(1 << attempt))
        let factors = (0..<500).map { _ in
            Backoff.database.delay(attempt: attempt, using: &generator).inSeconds / nominal
        }
        #expect(factors.allSatisfy { (0.499_999...1.500_001).contains($0) })
        #expect(factors.contains { $0 < 0.55 } && factors.contains { $0 > 1.45 })
        let mean = factors.reduce(0, +) / 500
        #expect((0.95...1.05).contains(mean))
    }

    @Test("Without a generator the system's is used")
    func systemGenerator() {
        #expect(Self.plain.delay(attempt: 3) == .seconds(8))
    }
}
