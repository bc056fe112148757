// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("When to claim")
struct ClaimPacerTests {
    private static let poll: Duration = .seconds(1)
    private static let worthwhile = 4

    /// What has happened before now.
    enum State: CaseIterable, Sendable {
        /// Nothing yet.
        case new
        /// The last claim began 5 ms ago.
        case claimed
        /// The last claim began 5 ms ago, and a hint came since.
        case hinted
        /// The last claim began as long ago as a free slot waits for company.
        case gathered
        /// The last claim began a polling interval ago.
        case due

        func pacer(now: ClaimPacer.Instant) -> ClaimPacer {
            var pacer = ClaimPacer(pollInterval: poll)
            switch self {
            case .new: break
            case .claimed: pacer.claiming(now: now - .milliseconds(5), jitter: 1)
            case .hinted:
                pacer.claiming(now: now - .milliseconds(5), jitter: 1)
                pacer.hint()
            case .gathered: pacer.claiming(now: now - ClaimPacer.gathering, jitter: 1)
            case .due: pacer.claiming(now: now - poll, jitter: 1)
            }
            return pacer
        }
    }

    enum Slots: Int, CaseIterable, Sendable {
        case none = 0
        case few = 3
        case many = 4
    }

    enum Expected: Equatable, Sendable {
        case claim
        case wait(Duration)
    }

    static func expected(_ state: State, _ slots: Slots, backlog: Bool) -> Expected {
        switch (state, slots, backlog) {
        case (_, .none, _): .wait(poll)
        case (.new, _, _): .claim
        case (.claimed, _, false): .wait(.milliseconds(995))
        case (.hinted, _, false): .claim
        case (.claimed, .few, true), (.hinted, .few, true): .wait(.milliseconds(15))
        case (.claimed, .many, true), (.hinted, .many, true): .claim
        case (.gathered, _, false): .wait(.milliseconds(980))
        case (.gathered, _, true): .claim
        case (.due, _, _): .claim
        }
    }

    @Test("Every state with every number of slots, without a backlog", arguments: State.allCases, Slots.allCases)
    func withoutBacklog(state: State, slots: Slots) { Self.check(state, slots, backlog: false) }

    @Test("Every state with every number of slots, with a backlog", arguments: State.allCases, Slots.allCases)
    func withBacklog(state: State, slots: Slots) { Self.check(state, slots, backlog: true) }

    private static func check(_ state: State, _ slots: Slots, backlog: Bool) {
        let now = ContinuousClock.now
        let decision = state.pacer(now: now)
            .decide(now: now, freeSlots: slots.rawValue, worthwhile: worthwhile, backlog: backlog)
        switch decision {
        case .claim: #expect(self.expected(state, slots, backlog: backlog) == .claim)
        case .wait(let until): #expect(self.expected(state, slots, backlog: backlog) == .wait(until - now))
        }
    }

    @Test("A hint that comes while a claim is on its way leads to another claim")
    func hintDuringClaim() {
        let now = ContinuousClock.now
        var pacer = ClaimPacer(pollInterval: Self.poll)
        pacer.hint()
        pacer.claiming(now: now, jitter: 1)
        pacer.hint()
        #expect(pacer.decide(now: now, freeSlots: 1, worthwhile: 1, backlog: false) == .claim)
    }

    @Test("A hint that finds no slot is not forgotten")
    func hintWithoutSlot() {
        let now = ContinuousClock.now
        var pacer = State.claimed.pacer(now: now)
        pacer.hint()
        #expect(pacer.decide(now: now, freeSlots: 0, worthwhile: 1, backlog: false) != .claim)
        #expect(pacer.decide(now: now, freeSlots: 1, worthwhile: 1, backlog: false) == .claim)
    }

    @Test("A jittered poll comes at the jittered interval", arguments: [0.9, 1.0, 1.1])
    func jitter(_ jitter: Double) {
        let now = ContinuousClock.now
        var pacer = ClaimPacer(pollInterval: Self.poll)
        pacer.claiming(now: now, jitter: jitter)
        let decision = pacer.decide(now: now, freeSlots: 1, worthwhile: 1, backlog: false)
        #expect(decision == .wait(until: now + Self.poll * jitter))
    }
}
