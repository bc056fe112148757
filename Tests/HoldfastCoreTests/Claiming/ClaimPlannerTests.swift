// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("How to divide free slots among queues")
struct ClaimPlannerTests {
    typealias Demand = ClaimPlanner.Demand

    private static func demand(_ queue: String, limit: Int? = nil, running: Int = 0) -> Demand {
        Demand(queue: queue, workerConcurrency: limit, running: running)
    }

    /// A planner for which exactly these queues are hot.
    private static func planner(hot: String...) -> ClaimPlanner {
        var planner = ClaimPlanner()
        planner.claimed(
            Dictionary(uniqueKeysWithValues: hot.map { ($0, 1) }),
            budgets: hot.map { ClaimPlanner.Budget(queue: $0, limit: 1) }
        )
        return planner
    }

    private static func limits(_ planner: ClaimPlanner, _ demands: [Demand], freeSlots: Int) -> [String: Int] {
        var planner = planner
        let budgets = planner.plan(demands, freeSlots: freeSlots)
        return Dictionary(uniqueKeysWithValues: budgets.map { ($0.queue, $0.limit) })
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var planner = ClaimPlanner()
        var demands: [Demand]
        var freeSlots: Int
        var expected: [String: Int]
    }

    static let rows: [Row] = [
        Row(testDescription: "No queue, no budget", demands: [], freeSlots: 8, expected: [:]),
        Row(testDescription: "No slot, no budget", demands: [demand("a")], freeSlots: 0, expected: [:]),
        Row(testDescription: "A debt of slots, no budget", demands: [demand("a")], freeSlots: -1, expected: [:]),
        Row(testDescription: "A cold queue alone gets all", demands: [demand("a")], freeSlots: 8, expected: ["a": 8]),
        Row(
            testDescription: "A hot queue alone gets all",
            planner: planner(hot: "a"),
            demands: [demand("a")],
            freeSlots: 8,
            expected: ["a": 8]
        ),
        Row(
            testDescription: "Cold queues share equally",
            demands: [demand("a"), demand("b")],
            freeSlots: 8,
            expected: ["a": 4, "b": 4]
        ),
        Row(
            testDescription: "Hot queues share equally",
            planner: planner(hot: "a", "b"),
            demands: [demand("a"), demand("b")],
            freeSlots: 8,
            expected: ["a": 4, "b": 4]
        ),
        Row(
            testDescription: "A hot queue gets most, a cold one a floor",
            planner: planner(hot: "a"),
            demands: [demand("a"), demand("b")],
            freeSlots: 80,
            expected: ["a": 70, "b": 10]
        ),
        Row(
            testDescription: "The floor is one slot at least",
            planner: planner(hot: "a"),
            demands: [demand("a"), demand("b"), demand("c")],
            freeSlots: 5,
            expected: ["a": 3, "b": 1, "c": 1]
        ),
        Row(
            testDescription: "What does not fit a queue goes to the others",
            demands: [demand("a", limit: 5, running: 3), demand("b")],
            freeSlots: 8,
            expected: ["a": 2, "b": 6]
        ),
        Row(
            testDescription: "A queue without room gets nothing, even when hot",
            planner: planner(hot: "a"),
            demands: [demand("a", limit: 2, running: 2), demand("b", limit: 0), demand("c", limit: 1, running: 4)],
            freeSlots: 8,
            expected: [:]
        ),
        Row(
            testDescription: "When the hot queue has no room, the cold ones share all",
            planner: planner(hot: "a"),
            demands: [demand("a", limit: 2, running: 2), demand("b"), demand("c")],
            freeSlots: 8,
            expected: ["b": 4, "c": 4]
        ),
        Row(
            testDescription: "Nobody gets more than there is room for",
            demands: [demand("a", limit: 1), demand("b", limit: 2)],
            freeSlots: 200,
            expected: ["a": 1, "b": 2]
        ),
    ]

    @Test("Its table", arguments: rows)
    func table(row: Row) {
        #expect(Self.limits(row.planner, row.demands, freeSlots: row.freeSlots) == row.expected)
    }

    @Test("A queue is hot while it fills its budgets")
    func heat() {
        var planner = ClaimPlanner()
        let demands = [Self.demand("a"), Self.demand("b")]
        #expect(!planner.expectsBacklog)
        var budgets = planner.plan(demands, freeSlots: 8)
        planner.claimed(["a": 4, "b": 3], budgets: budgets)
        #expect(planner.expectsBacklog)
        #expect(planner.backlog(demands).map(\.queue) == ["a"])
        budgets = planner.plan(demands, freeSlots: 8)
        planner.claimed(["b": 1], budgets: budgets)
        #expect(planner.backlog(demands).map(\.queue) == ["b"])
        planner.claimed([:], budgets: planner.plan(demands, freeSlots: 8))
        #expect(!planner.expectsBacklog)
    }

    @Test("A queue that had no budget stays as hot as it was")
    func heatWithoutBudget() {
        var planner = Self.planner(hot: "a")
        planner.claimed([:], budgets: [ClaimPlanner.Budget(queue: "b", limit: 1)])
        #expect(planner.backlog([Self.demand("a")]).map(\.queue) == ["a"])
    }

    @Test("A backlog counts only where there is room for it")
    func backlogWithoutRoom() {
        let planner = Self.planner(hot: "a", "b")
        let full = Self.demand("a", limit: 1, running: 1)
        let demands = [full, Self.demand("b", limit: 2, running: 1), Self.demand("c")]
        #expect(planner.expectsBacklog)
        #expect(planner.backlog(demands).map(\.queue) == ["b"])
    }

    @Test("A hot queue that is no longer served is forgotten")
    func vanishedQueue() {
        var planner = Self.planner(hot: "a")
        _ = planner.plan([Self.demand("b")], freeSlots: 1)
        #expect(!planner.expectsBacklog)
    }
}
