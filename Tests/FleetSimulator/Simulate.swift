// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import FleetSimulation

/// Runs schedules of the simulated fleet on every core, and says what they did and what they broke.
@main
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ops/simulate",
        abstract: "Runs the machines of a fleet through schedules of a simulated network and database."
    )

    @Option(help: "How many schedules.")
    var schedules: UInt64 = 100_000

    @Option(help: "The seed of the first; the others follow it.")
    var seed: UInt64 = 0

    @Option(help: "Take a guard out; such a run has to fail.")
    var mutant: Mutant?

    @Flag(help: "Take out each guard in turn, and say which schedule notices first.")
    var mutants = false

    @Flag(help: "Tell what happens in the first schedule, and run no other.")
    var trace = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard self.schedules > 0, self.seed <= .max - self.schedules else {
            throw ValidationError("There must be schedules, and the last seed must not be beyond \(UInt64.max).")
        }
    }

    func run() async throws {
        if self.trace {
            let tally = Simulation.run(seed: self.seed, mutant: self.mutant) { print($0) }
            return try self.report(tally)
        }
        if self.mutants { return try await self.catchMutants() }
        try self.report(await self.runAll())
    }

    private var seeds: Range<UInt64> { self.seed..<self.seed + self.schedules }

    /// In portions, so that every core has work to the end.
    private func runAll() async -> Tally {
        let (seeds, mutant) = (self.seeds, self.mutant)
        return await withTaskGroup(of: Tally.self) { group in
            for first in stride(from: seeds.lowerBound, to: seeds.upperBound, by: 1000) {
                group.addTask { Simulation.run(seeds: first..<min(first + 1000, seeds.upperBound), mutant: mutant) }
            }
            var sum = Tally()
            for await tally in group { sum += tally }
            return sum
        }
    }

    private func catchMutants() async throws {
        let seeds = self.seeds
        var caught: [Mutant: UInt64] = [:]
        await withTaskGroup(of: (Mutant, UInt64?).self) { group in
            for mutant in Mutant.allCases {
                group.addTask { (mutant, Simulation.firstCatch(of: mutant, in: seeds)) }
            }
            for await (mutant, seed) in group { caught[mutant] = seed }
        }
        for mutant in Mutant.allCases {
            let verdict = caught[mutant].map { "\(mutant.expected), schedule \($0)" } ?? "NOT CAUGHT"
            print(Self.padded(mutant.rawValue), verdict)
        }
        if caught.count < Mutant.allCases.count { throw ExitCode.failure }
    }

    private func report(_ tally: Tally) throws {
        if self.json {
            print(Self.document(tally))
        } else {
            for count in Tally.Count.allCases { print(Self.padded(count.rawValue), tally[count]) }
            for (violation, number) in tally.violations.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                let first = tally.firstSeeds[violation].map {
                    ", first in schedule \($0): ops/simulate --trace --seed \($0)"
                }
                print(Self.padded("VIOLATED \(violation)"), "\(number)\(first ?? "")")
            }
            if tally.violations.isEmpty { print("No promise was broken.") }
        }
        if !tally.violations.isEmpty { throw ExitCode.failure }
    }

    private static func document(_ tally: Tally) -> String {
        let counts = Tally.Count.allCases.map { "\"\($0.rawValue)\": \(tally[$0])" }
        let violations = tally.violations
            .sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\"\($0.key.rawValue)\": \($0.value)" }
        let seeds = tally.firstSeeds
            .sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\"\($0.key.rawValue)\": \($0.value)" }
        let found = [("violations", violations), ("first_seeds", seeds)].map { name, values in
            "\"\(name)\": {\(values.joined(separator: ", "))}"
        }
        return "{\((counts + found).joined(separator: ", "))}"
    }

    private static func padded(_ text: String) -> String {
        text + String(repeating: " ", count: max(1, 24 - text.count))
    }
}

extension Mutant: ExpressibleByArgument {}
