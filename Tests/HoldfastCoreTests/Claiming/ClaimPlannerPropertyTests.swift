// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

@Suite("How to divide free slots among queues, whatever they want")
struct ClaimPlannerPropertyTests {
    typealias Demand = ClaimPlanner.Demand

    private static func demands(_ count: Int, using generator: inout SeededGenerator) -> [Demand] {
        (0..<count).map { index in
            Demand(
                queue: "q\(index)",
                workerConcurrency: generator.chance(50) ? nil : generator.below(20),
                running: generator.below(10)
            )
        }
    }

    /// A claim in which some queues fill their budget.
    private static func claim(
        _ budgets: [ClaimPlanner.Budget],
        _ planner: inout ClaimPlanner,
        using generator: inout SeededGenerator
    ) {
        var counts: [String: Int] = [:]
        for budget in budgets {
            counts[budget.queue] = generator.chance(40) ? budget.limit : generator.below(budget.limit)
        }
        planner.claimed(counts, budgets: budgets)
    }

    @Test("Budgets fit the free slots and the queues' room, and waste no slot", arguments: 1...20)
    func budgets(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var planner = ClaimPlanner()
        for _ in 0..<100 {
            let demands = Self.demands(generator.below(9), using: &generator)
            let freeSlots = generator.below(generator.chance(50) ? 10 : 200)
            let hot = Set(planner.backlog(demands).map(\.queue))
            let budgets = planner.plan(demands, freeSlots: freeSlots)

            let open = demands.filter { $0.room > 0 }
            let limits = Dictionary(budgets.map { ($0.queue, $0.limit) }, uniquingKeysWith: +)
            #expect(limits.count == budgets.count, "each queue once")
            #expect(budgets.allSatisfy { $0.limit > 0 })
            #expect(Set(limits.keys).isSubset(of: open.map(\.queue)))
            for demand in open { #expect(limits[demand.queue, default: 0] <= demand.room) }
            let sum = budgets.reduce(0) { $0 + $1.limit }
            #expect(sum <= freeSlots)

            func isSatisfied(_ demand: Demand) -> Bool { limits[demand.queue, default: 0] == demand.room }
            // Slots are left over only when those who share them are full.
            let takers = hot.isEmpty ? open : open.filter { hot.contains($0.queue) }
            if sum < freeSlots { #expect(takers.allSatisfy(isSatisfied)) }
            // The floor.
            if freeSlots >= open.count { #expect(Set(limits.keys) == Set(open.map(\.queue))) }
            if freeSlots >= 4 * open.count, !hot.isEmpty {
                let cold = open.filter { !hot.contains($0.queue) }.reduce(0) { $0 + limits[$1.queue, default: 0] }
                #expect(cold * 4 <= freeSlots, "hot queues get most of the slots")
                let floor = freeSlots / (4 * open.count)
                for demand in open { #expect(limits[demand.queue, default: 0] >= min(floor, demand.room)) }
            }
            Self.claim(budgets, &planner, using: &generator)
        }
    }

    /// The other queues come and go as they like: neither their room nor what they claim may shut one out.
    @Test("A queue with room gets a slot within as many plans as there are queues", arguments: 1...20)
    func noStarvation(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var longest = 0
        for _ in 0..<20 {
            let count = generator.pick(2...6)
            var planner = ClaimPlanner()
            var plansWithout = 0
            for _ in 0..<100 {
                let demands = (0..<count).map { index in
                    Demand(
                        queue: "q\(index)",
                        workerConcurrency: index == 0 || generator.chance(60) ? nil : 0,
                        running: 0
                    )
                }
                let budgets = planner.plan(demands, freeSlots: generator.pick(1...2))
                plansWithout = budgets.contains { $0.queue == "q0" } ? 0 : plansWithout + 1
                longest = max(longest, plansWithout - (count - 1))
                Self.claim(budgets, &planner, using: &generator)
            }
        }
        #expect(longest <= 0, "a queue went without a slot for \(longest) plans more than there are other queues")
    }

    /// The rooms change with the plans in the way that is worst for a rotation which only counts.
    @Test("A rhythm of the other queues does not shut a queue out")
    func noResonance() {
        var planner = ClaimPlanner()
        var served = 0
        for plan in 1...600 {
            // As many queues as make the plan's number no multiple of them.
            let count = [2, 3, 5, 7].first { plan % $0 != 0 } ?? 11
            let demands = (0..<count).map { Demand(queue: "q\($0)", workerConcurrency: nil, running: 0) }
            let budgets = planner.plan(demands, freeSlots: 1)
            served += budgets.contains { $0.queue == "q0" } ? 1 : 0
            planner.claimed([:], budgets: budgets)
        }
        #expect(served >= 600 / 11)
    }

    @Test("Slots that cannot be shared equally go round", arguments: [false, true])
    func remainders(isHot: Bool) {
        var planner = ClaimPlanner()
        let demands = (0..<3).map { Demand(queue: "q\($0)", workerConcurrency: nil, running: 0) }
        var sums: [String: Int] = [:]
        for _ in 0..<30 {
            let budgets = planner.plan(demands, freeSlots: 4)
            for budget in budgets { sums[budget.queue, default: 0] += budget.limit }
            let counts = Dictionary(uniqueKeysWithValues: budgets.map { ($0.queue, isHot ? $0.limit : 0) })
            planner.claimed(counts, budgets: budgets)
        }
        #expect(sums == ["q0": 40, "q1": 40, "q2": 40])
    }
}
