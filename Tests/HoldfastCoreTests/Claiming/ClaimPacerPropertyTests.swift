// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

@Suite("When to claim, whatever happens")
struct ClaimPacerPropertyTests {
    typealias Instant = ClaimPacer.Instant

    private struct Situation {
        var freeSlots: Int
        var worthwhile: Int
        var backlog: Bool

        init(using generator: inout SeededGenerator) {
            self.freeSlots = generator.below(6)
            self.worthwhile = generator.pick(1...5)
            self.backlog = generator.chance(50)
        }

        func decide(_ pacer: ClaimPacer, now: Instant) -> ClaimPacer.Decision {
            pacer.decide(now: now, freeSlots: self.freeSlots, worthwhile: self.worthwhile, backlog: self.backlog)
        }
    }

    @Test("Claims are neither late, nor without a slot, nor in a spin", arguments: 1...20)
    func decisions(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let poll: Duration = .milliseconds(generator.pick(10...1000))
        var pacer = ClaimPacer(pollInterval: poll)
        var now = ContinuousClock.now
        var last: (at: Instant, jitter: Double)?
        var isHinted = true
        for _ in 0..<500 {
            now += .milliseconds(generator.below(generator.chance(10) ? 1500 : 15))
            if generator.chance(10) {
                pacer.hint()
                isHinted = true
            }
            let situation = Situation(using: &generator)
            switch situation.decide(pacer, now: now) {
            case .claim:
                #expect(situation.freeSlots > 0, "without a slot nothing is claimed")
                let jitter = 0.9 + 0.2 * Double(generator.below(101)) / 100
                pacer.claiming(now: now, jitter: jitter)
                last = (now, jitter)
                isHinted = false
                Self.checkRest(pacer, now: now)
            case .wait(let until):
                #expect(until > now, "waiting takes time")
                guard situation.freeSlots > 0 else {
                    #expect(until <= now + poll)
                    continue
                }
                guard let last else {
                    Issue.record("the first claim is due at once")
                    return
                }
                if situation.backlog {
                    #expect(situation.freeSlots < situation.worthwhile)
                    #expect(until <= last.at + ClaimPacer.gathering)
                } else {
                    #expect(!isHinted, "a hint leads to a claim at once")
                    #expect(until <= last.at + poll * last.jitter, "the poll is never late")
                }
                #expect(situation.decide(pacer, now: until) == .claim, "the wait ends in a claim")
            }
        }
        #expect(last != nil)
    }

    /// After a claim that found nothing there is no backlog, and without a hint the next decision is to wait.
    private static func checkRest(_ pacer: ClaimPacer, now: Instant) {
        for freeSlots in 0...3 {
            switch pacer.decide(now: now, freeSlots: freeSlots, worthwhile: 1, backlog: false) {
            case .claim: Issue.record("a claim that found nothing is repeated at once")
            case .wait(let until): #expect(until > now)
            }
        }
    }
}
