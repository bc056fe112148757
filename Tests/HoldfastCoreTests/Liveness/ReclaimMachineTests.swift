// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("How peers are buried")
struct ReclaimMachineTests {
    private typealias Machine = ReclaimMachine

    private let trusted = Machine.Judgement(leases: true, sessions: true)
    private let dead = Machine.Dead(incarnation: "a", executorID: "web-1", reason: "lease_expired")
    private let other = Machine.Dead(incarnation: "b", executorID: "web-2", reason: "session_lost")

    private func machine() -> Machine {
        Machine(confirmation: .milliseconds(150), secondLook: .milliseconds(1500), batch: 500)
    }

    private func suspect(expired: Bool = false, overdue: Bool = false, gone: Bool = false) -> Machine.Suspect {
        Machine.Suspect(incarnation: "a", lease: "1", isLeaseExpired: expired, isOverdue: overdue, isSessionGone: gone)
    }

    @Test("An expired lease is declared at once, its work taken over in batches, and its owner struck off")
    func lease() {
        var machine = self.machine()
        let suspect = self.suspect(expired: true)
        #expect(machine.found(.suspects([suspect]), standing: self.trusted) == .declareDead([suspect]))
        #expect(machine.declared([self.dead], ours: [self.dead], isMember: true) == .reclaim([self.dead]))
        #expect(machine.reclaimed(500, isMember: true) == .reclaim([self.dead]))
        #expect(machine.reclaimed(499, isMember: true) == .markReclaimed([self.dead]))
        #expect(machine.marked() == .lookAgain)
        #expect(machine.marked() == .finish)
    }

    @Test("A session that is gone is looked at again after a moment, an overdue lease after more than a heartbeat")
    func secondLook() {
        var machine = self.machine()
        let gone = self.suspect(gone: true)
        #expect(machine.found(.suspects([gone]), standing: self.trusted) == .wait(.milliseconds(150)))
        #expect(machine.confirmed(standing: self.trusted) == .declareDead([gone]))
        let overdue = self.suspect(expired: true, overdue: true)
        #expect(machine.found(.suspects([overdue]), standing: self.trusted) == .wait(.milliseconds(1500)))
        #expect(machine.confirmed(standing: self.trusted) == .declareDead([overdue]))
    }

    @Test("What was fair when they were found must be fair when they are declared, each for its own reason")
    func judgement() {
        var machine = self.machine()
        let gone = self.suspect(gone: true)
        _ = machine.found(.suspects([gone]), standing: self.trusted)
        #expect(machine.confirmed(standing: Machine.Judgement(leases: true, sessions: false)) == .finish)
        _ = machine.found(.suspects([gone]), standing: self.trusted)
        #expect(machine.confirmed(standing: nil) == .finish)

        let both = self.suspect(expired: true, gone: true)
        let leasesOnly = Machine.Judgement(leases: true, sessions: false)
        #expect(machine.found(.suspects([both]), standing: leasesOnly) == .declareDead([self.suspect(expired: true)]))
        #expect(self.trusted.fair([self.suspect()]).isEmpty)
    }

    @Test("Work of other versions is left to their executors")
    func versions() {
        var machine = self.machine()
        _ = machine.found(.suspects([self.suspect(expired: true)]), standing: self.trusted)
        #expect(machine.declared([self.dead, self.other], ours: [], isMember: true) == .lookAgain)
        _ = machine.found(.suspects([self.suspect(expired: true)]), standing: self.trusted)
        let action = machine.declared([self.dead, self.other], ours: [self.other], isMember: true)
        #expect(action == .reclaim([self.other]))
    }

    @Test("Nobody was dead after all")
    func alive() {
        var machine = self.machine()
        _ = machine.found(.suspects([self.suspect(expired: true)]), standing: self.trusted)
        #expect(machine.declared([], ours: [], isMember: true) == .finish)
    }

    @Test("The dead of others are taken over without a second look at the living")
    func unreclaimed() {
        var machine = self.machine()
        #expect(machine.found(.unreclaimed([self.dead]), standing: self.trusted) == .reclaim([self.dead]))
        #expect(machine.reclaimed(0, isMember: true) == .markReclaimed([self.dead]))
        #expect(machine.marked() == .finish)
    }

    @Test("Who is no member any more does nothing more, and strikes nobody off")
    func membership() {
        var machine = self.machine()
        #expect(machine.found(.unreclaimed([self.dead]), standing: nil) == .finish)
        _ = machine.found(.unreclaimed([self.dead]), standing: self.trusted)
        #expect(machine.reclaimed(3, isMember: false) == .finish)
        _ = machine.found(.suspects([self.suspect(expired: true)]), standing: self.trusted)
        #expect(machine.declared([self.dead], ours: [self.dead], isMember: false) == .finish)
    }

    @Test("A new finding begins anew, and an answer nobody waits for means nothing")
    func order() {
        var machine = self.machine()
        _ = machine.found(.suspects([self.suspect(gone: true)]), standing: self.trusted)
        #expect(machine.found(.unreclaimed([self.other]), standing: self.trusted) == .reclaim([self.other]))
        #expect(machine.confirmed(standing: self.trusted) == .finish)
        #expect(machine.reclaimed(1, isMember: true) == .finish)
        #expect(machine.declared([self.dead], ours: [self.dead], isMember: true) == .finish)
    }
}
