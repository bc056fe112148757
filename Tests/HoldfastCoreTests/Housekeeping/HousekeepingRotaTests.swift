// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("The rota of the background jobs")
struct HousekeepingRotaTests {
    private static func jobs(_ rounds: Int, of rota: HousekeepingRota) -> [HousekeepingRota.Job: Int] {
        var rota = rota
        return (0..<rounds).reduce(into: [:]) { counts, _ in counts[rota.next(), default: 0] += 1 }
    }

    @Test("gives each job its turn, and the sweep all others")
    func turns() {
        let jobs = Self.jobs(3600, of: HousekeepingRota(after: 0))
        #expect(jobs == [.pruning: 1, .strandedCheck: 116, .orphanCheck: 120, .refresh: 673, .sweep: 2690])
    }

    @Test("does not know when a process began: a fleet whose executors live for a minute prunes as often as any other")
    func shortLives() {
        // 84 times on average; a life that began at the first round would never get there.
        var prunings = 0
        for _ in 0..<(300_000 / 60) { prunings += Self.jobs(60, of: HousekeepingRota())[.pruning] ?? 0 }
        #expect((40...130).contains(prunings))
    }

    @Test("goes on after the end of its cycle")
    func cycle() {
        var last = HousekeepingRota(after: HousekeepingRota.cycle - 1)
        var first = HousekeepingRota(after: -1)
        for _ in 0..<100 {
            let jobs = (last.next(), first.next())
            #expect(jobs.0 == jobs.1)
        }
    }
}
