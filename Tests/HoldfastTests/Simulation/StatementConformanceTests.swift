// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import TestSupport
import Testing

@testable import FleetSimulation
@testable import Holdfast

/// What the simulation takes for the database is the database: the same statements get the same answers and leave the same rows.
@Suite("The simulated database", .timeLimit(.minutes(15)), .enabled(if: !TestServer.isPooled, "sessions hold locks"))
struct StatementConformanceTests {
    @Test("does what the real one does")
    func sameAnswers() async throws {
        var reasons: Set<SimulatedDatabase.Life.Reason> = []
        var outcomes = 0
        for seed in 0..<8 as Range<UInt64> {
            try await TestDatabase.with { database in
                try await Twins.with(seed: seed, database) { twins in
                    var script = Script(seed: seed)
                    for number in 0..<250 {
                        let statement = try await script.next(&twins)
                        try await twins.compare(after: "statement \(number) of seed \(seed), \(statement)")
                    }
                    reasons.formUnion(twins.model.lives.compactMap(\.reason))
                    outcomes += twins.model.works.count { $0.status == .success }
                }
            }
        }
        // The scripts do reach what they are about.
        #expect(reasons == Set(SimulatedDatabase.Life.Reason.allCases))
        #expect(outcomes > 8)
    }
}

/// Statements drawn from a seed.
private struct Script {
    private var generator: SeededGenerator
    private var processes: [(began: Int, slot: Int, lives: Int)] = []
    private var stamp = 0

    init(seed: UInt64) { self.generator = SeededGenerator(seed: seed) }

    private mutating func pick<T>(_ items: [T]) -> T? { items.isEmpty ? nil : items[self.generator.below(items.count)] }

    private mutating func some<T>(_ items: [T]) -> [T] { items.filter { _ in self.generator.chance(60) } }

    /// Sends one statement, and tells which.
    mutating func next(_ twins: inout Twins) async throws -> String {
        let lives = Array(twins.model.lives.indices)
        guard let life = self.pick(lives) else { return try await self.join(&twins) }
        let work = self.generator.below(twins.model.works.count)
        // Mostly the token that owns it.
        let token =
            self.generator.chance(60)
            ? twins.model.works[work].owner ?? self.pick(twins.tokens) : self.pick(twins.tokens)
        switch self.generator.below(100) {
        case ..<10: return try await self.join(&twins)
        case ..<22:
            let sessions = twins.model.sessions.indices.filter {
                twins.model.sessions[$0].isOpen && twins.model.sessions[$0].lockedLife == life
            }
            let held = self.generator.chance(70) ? sessions.first : nil
            try await twins.renew(
                life,
                session: self.generator.chance(20) ? .unchanged : held.map { .held($0) } ?? .absent,
                isDraining: self.generator.chance(20)
            )
            return "renewal of life \(life)"
        case ..<27:
            let end = self.pick([-1000, -7_200_000, 1_800_000, 10_800_000]) ?? 0
            // Of the open ones there are few.
            let life = self.pick(lives.filter { twins.model.lives[$0].isOpen }) ?? life
            try await twins.setLease(of: life, to: end)
            guard self.generator.chance(50) else { return "lease of life \(life) to \(end)" }
            try await twins.declareDead([
                Suspicion(
                    life: life,
                    leaseEnd: twins.model.lives[life].leaseExpiresAt - (self.generator.chance(25) ? 1 : 0),
                    isLeaseExpired: true,
                    isOverdue: false,
                    isSessionGone: false
                )
            ])
            return "lease of life \(life) to \(end), and its declaration"
        case ..<31:
            guard twins.model.lives[life].isOpen,
                !twins.model.sessions.contains(where: { $0.isOpen && $0.lockedLife == life })
            else { return "nothing" }
            let session = try await twins.openSession(life)
            try await twins.renew(life, session: .held(session), isDraining: false)
            return "session of life \(life)"
        case ..<34:
            guard let session = self.pick(Array(twins.model.sessions.indices)) else { return "nothing" }
            try await twins.closeSession(session)
            return "end of session \(session)"
        case ..<40:
            let suspicions = self.some(lives).map { life in
                Suspicion(
                    life: life,
                    leaseEnd: twins.model.lives[life].leaseExpiresAt - (self.generator.chance(25) ? 1 : 0),
                    isLeaseExpired: self.generator.chance(60),
                    isOverdue: false,
                    isSessionGone: self.generator.chance(60)
                )
            }
            try await twins.declareDead(suspicions)
            return "declaration of \(suspicions.map(\.life))"
        case ..<48:
            let dead = self.some(lives.filter { twins.model.lives[$0].hasEnded })
            try await twins.reclaim(dead, by: life, limit: self.generator.pick(1...3))
            return "reclaim from \(dead)"
        case ..<53:
            let marked = self.some(lives)
            try await twins.markReclaimed(marked)
            return "striking off \(marked)"
        case ..<56:
            try await twins.reviewEnded()
            return "review of the ended"
        case ..<59:
            try await twins.leave(life)
            return "departure of life \(life)"
        case ..<71:
            try await twins.claim(twins.token(of: life), limit: self.generator.pick(1...3))
            return "claim by life \(life)"
        case ..<74:
            try await twins.start(twins.model.works.count - 1 - self.generator.below(2), twins.token(of: life))
            return "start by life \(life)"
        case ..<84:
            guard let token else { return "nothing" }
            self.stamp += 1
            let isRepeated = self.generator.chance(20)
            try await twins.checkpoint(
                work,
                token,
                step: self.generator.below(3),
                stamp: isRepeated ? max(1, self.stamp - 1) : self.stamp
            )
            return "checkpoint of work \(work) by life \(token.life)"
        case ..<86:
            // Mostly of work that is under way, or none would ever come to its end.
            let work = self.pick(twins.model.works.indices.filter { twins.model.works[$0].owner != nil }) ?? work
            guard let token = self.generator.chance(80) ? twins.model.works[work].owner ?? token : token else {
                return "nothing"
            }
            try await twins.finish(work, token)
            return "outcome of work \(work) by life \(token.life)"
        case ..<92:
            guard let token else { return "nothing" }
            try await twins.handBack(work, token)
            return "hand-back of work \(work) by life \(token.life)"
        case ..<94:
            let tokens = self.some(twins.tokens.filter { $0.life == life })
            try await twins.handBackClaims(tokens)
            return "hand-back of claims of life \(life)"
        case ..<96:
            try await twins.cancel(work)
            return "cancelling work \(work)"
        default:
            try await twins.resume(work)
            return "resuming work \(work)"
        }
    }

    /// A process joins: for the first time, again, or late.
    private mutating func join(_ twins: inout Twins) async throws -> String {
        if self.processes.isEmpty || self.generator.chance(50) {
            self.processes.append((try await twins.begin(), self.generator.below(3), 0))
        }
        let index = self.generator.below(self.processes.count)
        let process = self.processes[index]
        let isLate = process.lives > 1 && self.generator.chance(30)
        // A number that was skipped before.
        self.processes[index].lives += isLate ? 0 : 2
        let number = isLate ? process.lives - 1 : process.lives + 2
        _ = try await twins.join(slot: process.slot, began: process.began, number: number)
        return "join of life \(number) of process \(process.began) in slot \(process.slot)"
    }
}
