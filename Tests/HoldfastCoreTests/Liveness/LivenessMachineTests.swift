// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

/// Heartbeat 1 s, self-stop 7 s, lease 10 s; moments are milliseconds since an arbitrary start.
@Suite("Membership in the fleet")
struct LivenessMachineTests {
    typealias Machine = LivenessMachine

    private static let start = ContinuousClock.now
    private static func at(_ milliseconds: Int) -> Machine.Instant { self.start + .milliseconds(milliseconds) }

    enum State: CaseIterable, Sendable {
        case joining
        /// Joined at 0, last renewed at 1000.
        case member
        /// Was a member, and fenced itself.
        case fenced
        case replaced

        var machine: Machine {
            var machine = Machine(heartbeat: .seconds(1), selfStop: .seconds(7), lease: .seconds(10))
            guard self != .joining else { return machine }
            machine.joined(sentAt: at(0), now: at(0), serverEpoch: "one")
            _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: at(1000), now: at(1010))
            if self == .fenced { _ = machine.tick(now: at(8000)) }
            if self == .replaced { _ = machine.answered(.superseded, sentAt: at(1500), now: at(1510)) }
            return machine
        }
    }

    enum Event: CaseIterable, Sendable {
        case joined
        case renewed
        case renewedOnAnotherServer
        /// The answer comes one millisecond before, or at, the moment to stop.
        case renewedJustInTime, renewedTooLate
        /// The answer to a renewal that was sent before the last one that succeeded.
        case renewedOutOfOrder
        case declaredDead, superseded
        /// Answers to what an earlier life of this process sent before the present one joined.
        case renewedEarlierLife, earlierLifeDeclaredDead, earlierLifeSuperseded
        case tickBefore, tick, tickLong
        /// The database did not let it join.
        case refused
    }

    /// The state as it is visible from outside.
    enum View: Equatable, Sendable {
        case joining
        case member(selfStopAt: Int)
        case replaced
        case impossible

        init(_ machine: Machine) {
            self =
                switch (machine.isMember, machine.isReplaced, machine.selfStopAt) {
                case (false, false, nil): .joining
                case (true, false, let moment?): .member(selfStopAt: Int((moment - start).inMilliseconds))
                case (false, true, nil): .replaced
                default: .impossible
                }
        }
    }

    static func expected(_ state: State, _ event: Event) -> (Machine.Action, View) {
        switch (state, event) {
        case (.replaced, _): (.none, .replaced)
        case (.joining, .joined), (.fenced, .joined), (.member, .joined): (.none, .member(selfStopAt: 9000))
        case (.joining, .refused), (.fenced, .refused): (.stop, .replaced)
        case (.joining, _), (.fenced, _): (.none, .joining)
        case (.member, .renewed), (.member, .renewedOnAnotherServer), (.member, .renewedJustInTime):
            (.none, .member(selfStopAt: 9000))
        case (.member, .renewedOutOfOrder), (.member, .renewedEarlierLife), (.member, .earlierLifeDeclaredDead),
            (.member, .earlierLifeSuperseded):
            (.none, .member(selfStopAt: 8000))
        case (.member, .renewedTooLate), (.member, .declaredDead): (.fence, .joining)
        case (.member, .superseded): (.stop, .replaced)
        case (.member, .tickBefore), (.member, .refused): (.none, .member(selfStopAt: 8000))
        case (.member, .tick), (.member, .tickLong): (.fence, .joining)
        }
    }

    @Test("Every event in every state", arguments: State.allCases, Event.allCases)
    func table(state: State, event: Event) {
        var machine = state.machine
        let (action, view) = Self.expected(state, event)
        #expect(Self.apply(event, to: &machine) == action)
        #expect(View(machine) == view)
    }

    private static func apply(_ event: Event, to machine: inout Machine) -> Machine.Action {
        func answer(_ answer: Machine.RenewalAnswer, sent: Int = 2000, now: Int = 2010) -> Machine.Action {
            machine.answered(answer, sentAt: at(sent), now: at(now))
        }
        switch event {
        case .joined:
            machine.joined(sentAt: at(2000), now: at(2000), serverEpoch: "one")
            return .none
        case .renewed: return answer(.renewed(serverEpoch: "one"))
        case .renewedOnAnotherServer: return answer(.renewed(serverEpoch: "two"))
        case .renewedJustInTime: return answer(.renewed(serverEpoch: "one"), now: 7999)
        case .renewedTooLate: return answer(.renewed(serverEpoch: "one"), now: 8000)
        case .renewedOutOfOrder: return answer(.renewed(serverEpoch: "one"), sent: 500)
        case .declaredDead: return answer(.declaredDead)
        case .superseded: return answer(.superseded)
        case .renewedEarlierLife: return answer(.renewed(serverEpoch: "zero"), sent: -1)
        case .earlierLifeDeclaredDead: return answer(.declaredDead, sent: -1)
        case .earlierLifeSuperseded: return answer(.superseded, sent: -1)
        case .tickBefore: return machine.tick(now: at(7999))
        case .tick: return machine.tick(now: at(8000))
        case .tickLong: return machine.tick(now: at(1_000_000))
        case .refused: return machine.refused()
        }
    }

    // MARK: Judging leases

    private static func steadyMachine(until end: Int) -> Machine {
        var machine = Machine(heartbeat: .seconds(1), selfStop: .seconds(7), lease: .seconds(10))
        machine.joined(sentAt: at(0), now: at(0), serverEpoch: "one")
        for moment in stride(from: 1000, through: end, by: 1000) {
            _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: at(moment), now: at(moment))
        }
        return machine
    }

    @Test(
        "A lease is held until the moment of self-stop, whether or not the clock was looked at",
        arguments: [
            (State.joining, 0, false), (.member, 1010, true), (.member, 7999, true), (.member, 8000, false),
            (.member, 60_000, false), (.fenced, 1010, false), (.replaced, 1510, false),
        ]
    )
    func holding(state: State, moment: Int, holds: Bool) {
        #expect(state.machine.holdsLease(now: Self.at(moment)) == holds)
    }

    @Test("What became of the clock while a join was under way is not known: the lease of grace begins with its answer")
    func slowJoin() {
        var machine = LivenessMachine(heartbeat: .seconds(1), selfStop: .seconds(7), lease: .seconds(10))
        machine.joined(sentAt: Self.at(0), now: Self.at(900), serverEpoch: "one")
        for moment in stride(from: 1000, through: 11_000, by: 1000) {
            _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: Self.at(moment), now: Self.at(moment))
        }
        #expect(!machine.mayJudgeLeases(now: Self.at(10_899)))
        #expect(machine.mayJudgeLeases(now: Self.at(11_000)))
    }

    @Test("Leases are judged only after a full lease of renewals")
    func afterJoining() {
        #expect(!Self.steadyMachine(until: 9000).mayJudgeLeases(now: Self.at(9999)))
        #expect(Self.steadyMachine(until: 9000).mayJudgeLeases(now: Self.at(10_000)))
        #expect(Self.steadyMachine(until: 50_000).mayJudgeLeases(now: Self.at(50_500)))
    }

    @Test("Who is no member judges no leases", arguments: [State.joining, .fenced, .replaced])
    func noMember(state: State) {
        #expect(!state.machine.mayJudgeLeases(now: Self.at(1_000_000)))
    }

    @Test("After another server's answer the lease of grace begins again")
    func anotherServer() {
        var machine = Self.steadyMachine(until: 20_000)
        #expect(machine.mayJudgeLeases(now: Self.at(20_900)))
        for moment in stride(from: 21_000, through: 40_000, by: 1000) {
            _ = machine.answered(.renewed(serverEpoch: "two"), sentAt: Self.at(moment), now: Self.at(moment + 5))
            #expect(machine.mayJudgeLeases(now: Self.at(moment + 5)) == (moment >= 31_000))
        }
    }

    @Test(
        "After the database's clock was set by more than a heartbeat, too",
        arguments: [(1000, true), (1001, false), (3_600_000, false), (-1000, true), (-1001, false)]
    )
    func databaseClock(jump: Int, isTrusted: Bool) {
        var machine = Self.steadyMachine(until: 20_000)
        machine.databaseClockWasSet(by: .milliseconds(jump), now: Self.at(20_000))
        for moment in stride(from: 21_000, through: 32_000, by: 1000) {
            _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: Self.at(moment), now: Self.at(moment))
            #expect(machine.mayJudgeLeases(now: Self.at(moment)) == (isTrusted || moment >= 30_000))
        }
    }

    @Test(
        "A clock that may have been set by as much, unnoticed, counts as set",
        arguments: [(0, 1000, true), (0, 1001, false), (500, 1001, false), (-1001, 0, false)]
    )
    func uncertainDatabaseClock(jump: Int, uncertainty: Int, isTrusted: Bool) {
        var machine = Self.steadyMachine(until: 20_000)
        machine.databaseClockWasSet(
            by: .milliseconds(jump),
            uncertainty: .milliseconds(uncertainty),
            now: Self.at(20_000)
        )
        #expect(machine.mayJudgeLeases(now: Self.at(20_900)) == isTrusted)
        for moment in stride(from: 21_000, through: 30_000, by: 1000) {
            _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: Self.at(moment), now: Self.at(moment))
        }
        #expect(machine.mayJudgeLeases(now: Self.at(30_000)))
    }

    @Test("Three heartbeats between renewals are no gap, more is", arguments: [(3000, true), (3001, false)])
    func gap(length: Int, isTrusted: Bool) {
        var machine = Self.steadyMachine(until: 20_000)
        let sent = 20_000 + length
        #expect(machine.mayJudgeLeases(now: Self.at(sent)) == isTrusted, "a gap need not be over to be one")
        _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: Self.at(sent), now: Self.at(sent + 5))
        #expect(machine.mayJudgeLeases(now: Self.at(sent + 5)) == isTrusted)
        for moment in stride(from: sent + 1000, through: sent + 12_000, by: 1000) {
            _ = machine.answered(.renewed(serverEpoch: "one"), sentAt: Self.at(moment), now: Self.at(moment))
            #expect(machine.mayJudgeLeases(now: Self.at(moment)) == (isTrusted || moment >= sent + 10_005))
        }
    }

    // MARK: Judging sessions

    private static func mayJudgeSessions(_ machine: Machine, at moment: Int) -> Bool {
        machine.mayJudgeSessions(now: at(moment))
    }

    @Test("Sessions are judged three heartbeats after this executor got its first, and half a lease after it lost one")
    func sessions() {
        var machine = State.member.machine
        #expect(!Self.mayJudgeSessions(machine, at: 1000))
        machine.sessionOpened(now: Self.at(1000))
        #expect(!Self.mayJudgeSessions(machine, at: 3999))
        #expect(Self.mayJudgeSessions(machine, at: 4000))
        machine.sessionClosed()
        #expect(!Self.mayJudgeSessions(machine, at: 4500))
        machine.sessionOpened(now: Self.at(5000))
        #expect(!Self.mayJudgeSessions(machine, at: 9999))
        #expect(Self.mayJudgeSessions(machine, at: 10_000))
    }

    @Test("Who is no member judges no sessions", arguments: [State.joining, .fenced, .replaced])
    func sessionsOfNoMember(state: State) {
        var machine = state.machine
        machine.sessionOpened(now: Self.at(1000))
        #expect(!Self.mayJudgeSessions(machine, at: 1_000_000))
    }

    @Test("A member that joins again waits for a full lease again")
    func joiningAgain() {
        var machine = Self.steadyMachine(until: 20_000)
        _ = machine.answered(.declaredDead, sentAt: Self.at(21_000), now: Self.at(21_000))
        machine.joined(sentAt: Self.at(22_000), now: Self.at(22_000), serverEpoch: "one")
        #expect(!machine.mayJudgeLeases(now: Self.at(23_000)))
    }
}
