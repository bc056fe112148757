// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Divides an executor's free slots among its queues, so that one claim serves all and no queue starves another.
///
/// A queue that filled its last budget is *hot*: it shares most of the slots with the other hot queues. Every other queue
/// keeps a small budget in every claim, so its first workflow never waits for a hot neighbour.
package struct ClaimPlanner: Sendable {
    package struct Demand: Sendable, Hashable {
        package var queue: String
        /// How many of the queue's workflows this executor may run at once; `nil` is unlimited.
        package var workerConcurrency: Int?
        package var running: Int

        package init(queue: String, workerConcurrency: Int?, running: Int) {
            self.queue = queue
            self.workerConcurrency = workerConcurrency
            self.running = running
        }

        /// How many more of its workflows may run here.
        package var room: Int { self.workerConcurrency.map { max(0, $0 - self.running) } ?? .max }
    }

    package struct Budget: Sendable, Hashable {
        package var queue: String
        package var limit: Int

        package init(queue: String, limit: Int) {
            self.queue = queue
            self.limit = limit
        }
    }

    private var hot: Set<String> = []
    private var plans = 0
    /// The last plan in which each queue had a budget.
    private var lastServed: [String: Int] = [:]

    package init() {}

    /// Whether the last claim from some queue left something behind.
    package var expectsBacklog: Bool { !self.hot.isEmpty }

    /// Those of the queues that have work waiting, as far as is known, and room for it here.
    package func backlog(_ demands: [Demand]) -> [Demand] {
        demands.filter { self.hot.contains($0.queue) && $0.room > 0 }
    }

    /// Budgets whose sum is at most `freeSlots`. Queues without room are left out.
    package mutating func plan(_ demands: [Demand], freeSlots: Int) -> [Budget] {
        self.forgetAllBut(demands)
        let open = self.inTurn(demands.filter { $0.room > 0 })
        guard freeSlots > 0, !open.isEmpty else { return [] }
        self.plans += 1

        var remaining = freeSlots
        var limits: [String: Int] = [:]
        func give(_ amount: Int, to demand: Demand) {
            let given = min(amount, demand.room - (limits[demand.queue] ?? 0), remaining)
            guard given > 0 else { return }
            limits[demand.queue, default: 0] += given
            remaining -= given
        }
        let floor = max(1, freeSlots / (4 * open.count))
        for demand in open { give(floor, to: demand) }
        // The rest goes to the hot queues in equal shares; when a share does not fit, the others get what is left.
        var takers = open.filter { self.hot.contains($0.queue) }
        if takers.isEmpty { takers = open }
        while remaining > 0, !takers.isEmpty {
            let share = max(1, remaining / takers.count)
            for demand in takers { give(share, to: demand) }
            takers.removeAll { (limits[$0.queue] ?? 0) >= $0.room }
        }
        for queue in limits.keys { self.lastServed[queue] = self.plans }
        return open.compactMap { demand in
            limits[demand.queue].map { Budget(queue: demand.queue, limit: $0) }
        }
    }

    /// Who has gone longest without a budget comes first, so that every queue's turn comes even when there are fewer slots
    /// than queues, whichever of the others have room. Those who had theirs together take turns at the remainders.
    private func inTurn(_ open: [Demand]) -> [Demand] {
        guard !open.isEmpty else { return [] }
        let start = self.plans % open.count
        let turns = open.indices.map { index in
            (
                lastServed: self.lastServed[open[index].queue] ?? 0,
                rotated: (index + open.count - start) % open.count,
                demand: open[index]
            )
        }
        return turns.sorted { ($0.lastServed, $0.rotated) < ($1.lastServed, $1.rotated) }.map(\.demand)
    }

    /// Queues come and go; what is known of one that is gone must not wake the claimer.
    private mutating func forgetAllBut(_ demands: [Demand]) {
        let names = Set(demands.map(\.queue))
        self.hot.formIntersection(names)
        if self.lastServed.count > names.count { self.lastServed = self.lastServed.filter { names.contains($0.key) } }
    }

    /// What a claim brought: a queue that filled its budget probably has more.
    package mutating func claimed(_ counts: [String: Int], budgets: [Budget]) {
        for budget in budgets {
            if counts[budget.queue, default: 0] >= budget.limit {
                self.hot.insert(budget.queue)
            } else {
                self.hot.remove(budget.queue)
            }
        }
    }
}
