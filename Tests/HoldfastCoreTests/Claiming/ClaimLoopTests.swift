// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

/// The planner and the pacer together, as the executor's claimer uses them, against simulated queues.
private struct ClaimLoop {
    private let queues: [(name: String, limit: Int?)]
    private let capacity: Int
    private let start = ContinuousClock.now
    private var generator: SeededGenerator
    private var planner = ClaimPlanner()
    private var pacer = ClaimPacer(pollInterval: .milliseconds(1000))
    /// The arrivals that wait, by queue, in order of time; those of the future are invisible.
    private var waiting: [String: [Int]] = [:]
    private var running: [(queue: String, end: Int)] = []
    private var hints: [Int] = []
    private var now = 0
    private(set) var longestWait = 0
    private(set) var mostEmptyClaims = 0
    private(set) var claims = 0
    private(set) var isOverLimit = false

    let arrivals: Int

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        self.queues = (0..<generator.pick(1...6)).map { ("q\($0)", generator.chance(60) ? nil : generator.pick(1...4)) }
        self.capacity = generator.pick(1...12)
        self.arrivals = generator.pick(10...120)
        for _ in 0..<self.arrivals {
            let moment = generator.below(2000)
            self.waiting[self.queues[generator.below(self.queues.count)].name, default: []].append(moment)
            // Hints get lost.
            if generator.chance(60) { self.hints.append(moment) }
        }
        self.waiting = self.waiting.mapValues { $0.sorted() }
        self.hints.sort()
        self.generator = generator
    }

    var isDone: Bool { self.waiting.values.allSatisfy(\.isEmpty) }

    /// Runs until everything is claimed or the time is over.
    mutating func run(until end: Int) {
        var emptyClaims = 0
        while !self.isDone, self.now < end {
            let (decision, demands, freeSlots) = self.decide()
            switch decision {
            case .claim:
                let found = self.claim(demands, freeSlots: freeSlots)
                emptyClaims = found > 0 ? 0 : emptyClaims + 1
                self.mostEmptyClaims = max(self.mostEmptyClaims, emptyClaims)
                if emptyClaims > 100 { return }
            case .wait(let until):
                let before = self.now
                self.sleep(until: Self.milliseconds(until - self.start))
                if self.now > before { emptyClaims = 0 }
            }
        }
    }

    private func decide() -> (ClaimPacer.Decision, [ClaimPlanner.Demand], freeSlots: Int) {
        let demands = self.queues.map { queue in
            ClaimPlanner.Demand(
                queue: queue.name,
                workerConcurrency: queue.limit,
                running: self.running.count { $0.queue == queue.name }
            )
        }
        let freeSlots = self.capacity - self.running.count
        func sum(_ values: [Int]) -> Int { values.reduce(0) { min(200, $0 + min($1, 200)) } }
        let backlog = self.planner.backlog(demands)
        let decision = self.pacer.decide(
            now: self.start + .milliseconds(self.now),
            freeSlots: backlog.isEmpty ? freeSlots : min(freeSlots, sum(backlog.map(\.room))),
            worthwhile: max(1, min(self.capacity, sum(backlog.map { $0.workerConcurrency ?? 200 })) / 2),
            backlog: !backlog.isEmpty
        )
        return (decision, demands, freeSlots)
    }

    private mutating func claim(_ demands: [ClaimPlanner.Demand], freeSlots: Int) -> Int {
        self.claims += 1
        let jitter = 0.9 + 0.2 * Double(self.generator.below(100)) / 100
        self.pacer.claiming(now: self.start + .milliseconds(self.now), jitter: jitter)
        let budgets = self.planner.plan(demands, freeSlots: freeSlots)
        var counts: [String: Int] = [:]
        for budget in budgets {
            let found = (self.waiting[budget.queue] ?? []).prefix(budget.limit).prefix { $0 <= self.now }
            self.waiting[budget.queue]?.removeFirst(found.count)
            counts[budget.queue] = found.count
            for arrival in found {
                self.longestWait = max(self.longestWait, self.now - arrival)
                self.running.append((budget.queue, self.now + self.generator.pick(1...60)))
            }
        }
        self.planner.claimed(counts, budgets: budgets)
        self.isOverLimit =
            self.isOverLimit || self.running.count > self.capacity
            || self.queues.contains { queue in self.running.count { $0.queue == queue.name } > queue.limit ?? .max }
        return counts.values.reduce(0, +)
    }

    /// Sleeps to the moment, to the next hint, or to the next freed slot if there is a backlog.
    private mutating func sleep(until moment: Int) {
        while self.now < moment {
            let nextEnd = self.running.map(\.end).min() ?? .max
            let nextHint = self.hints.first ?? .max
            self.now = max(self.now, min(moment, nextEnd, nextHint))
            self.running.removeAll { $0.end <= self.now }
            var isWoken = nextEnd <= self.now && self.planner.expectsBacklog
            while let hint = self.hints.first, hint <= self.now {
                self.hints.removeFirst()
                self.pacer.hint()
                isWoken = true
            }
            if isWoken { return }
        }
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        // Later rather than earlier, as timers are.
        Int(duration.inMilliseconds) + 1
    }
}

@Suite("The claim loop")
struct ClaimLoopTests {
    @Test("Everything is claimed in time, within all limits and without a spin", arguments: 1...60)
    func everythingIsClaimed(seed: UInt64) {
        var loop = ClaimLoop(seed: seed)
        loop.run(until: 20_000)
        #expect(loop.isDone, "nothing is left behind")
        #expect(!loop.isOverLimit)
        // With fewer slots than queues, a hot queue's turn comes within one round.
        #expect(loop.mostEmptyClaims <= 6)
        #expect(loop.claims <= 3 * loop.arrivals + 500)
        #expect(loop.longestWait < 10_000)
    }
}
