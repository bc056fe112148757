// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import Foundation
import Testing

/// Zero writes by a non-owner, whatever is done to the fleet: see `docs/simulation.md`.
///
/// It computes for long, on threads of its own: those of Swift's pool are few, and other tests wait for them.
@Suite(
    "A fleet, whatever happens",
    .timeLimit(.minutes(60)),
    .disabled(if: isPooled, "a pooler changes nothing about it")
)
struct FleetSimulationTests {
    private static func apart<R: Sendable>(_ work: @escaping @Sendable () -> R) async -> R {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: work()) }
        }
    }

    /// `HOLDFAST_SIMULATION_SCHEDULES` asks for more of them; `ops/simulate` runs them much faster.
    private static let schedules: UInt64 = {
        let text = ProcessInfo.processInfo.environment["HOLDFAST_SIMULATION_SCHEDULES"]
        return text.flatMap { UInt64($0) } ?? 4000
    }()

    @Test("No schedule breaks a promise", arguments: 0..<4 as Range<UInt64>)
    func promises(part: UInt64) async {
        let count = Self.schedules / 4
        let tally = await Self.apart { Simulation.run(seeds: part * count..<(part + 1) * count) }
        for (violation, seed) in tally.firstSeeds {
            Issue.record("\(violation); look at it with: ops/simulate --trace --seed \(seed)")
        }
        // The schedules do reach what they are about.
        for count in Tally.Count.allCases { #expect(tally[count] > 0, "\(count)") }
        #expect(tally[.outcomes] > tally[.schedules])
        #expect(tally[.takeovers] > tally[.schedules])
        #expect(tally[.refusedWrites] > tally[.schedules] / 10)
    }

    @Test("A guard that is taken out is missed within ten thousand schedules", arguments: Mutant.allCases)
    func mutants(mutant: Mutant) async {
        let caught = await Self.apart { Simulation.firstCatch(of: mutant, in: 0..<10_000) }
        #expect(caught != nil)
    }

    @Test("A seed makes the same schedule every time")
    func repetition() {
        for seed in 100..<110 as Range<UInt64> {
            let traces = (0..<2).map { _ in
                var lines: [String] = []
                // Tokens have a random part, which decides nothing.
                _ = Simulation.run(seed: seed) { lines.append(String($0.prefix { $0 != "(" })) }
                return lines
            }
            #expect(traces[0] == traces[1])
            #expect(traces[0].count > 100)
        }
    }
}

private let isPooled = ProcessInfo.processInfo.environment["HOLDFAST_TEST_DIRECT_URL"] != nil
