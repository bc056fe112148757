// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What schedules did, and what they broke.
package struct Tally: Sendable, Equatable {
    package enum Count: String, Sendable, Hashable, CaseIterable {
        case schedules, events
        /// Executors that stopped themselves and joined again, or were told that they are dead.
        case fences
        case hedges
        /// Declarations of death, by what they were founded on.
        case leaseDeaths, sessionDeaths
        /// Lives that ended because a process joined in their slot.
        case superseded
        /// Processes that stopped for good, because a later one has their slot.
        case replaced
        case departures, takeovers, handBacks
        case checkpoints, outcomes
        /// Writes that found their token gone.
        case refusedWrites
        /// Ended members that were found to own work again.
        case orphans
    }

    package private(set) var counts: [Int]
    package private(set) var violations: [Violation: Int] = [:]
    /// The first schedule that broke each promise.
    package private(set) var firstSeeds: [Violation: UInt64] = [:]

    package init() { self.counts = Array(repeating: 0, count: Count.allCases.count) }

    package subscript(count: Count) -> Int { self.counts[Self.places[count] ?? 0] }

    package static func += (sum: inout Tally, other: Tally) {
        for index in sum.counts.indices { sum.counts[index] += other.counts[index] }
        sum.violations.merge(other.violations, uniquingKeysWith: +)
        sum.firstSeeds.merge(other.firstSeeds, uniquingKeysWith: min)
    }

    mutating func add(_ count: Count, _ number: Int = 1) { self.counts[Self.places[count] ?? 0] += number }

    mutating func violate(_ violation: Violation, seed: UInt64) {
        self.violations[violation, default: 0] += 1
        if self.firstSeeds[violation] == nil { self.firstSeeds[violation] = seed }
    }

    private static let places = Dictionary(uniqueKeysWithValues: zip(Count.allCases, 0...))
}
