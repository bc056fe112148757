// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("What a commit has refused")
struct AsideMachineTests {
    private struct Request: Divertible, Equatable {
        var subject: String
        var number = 0
    }

    /// Sets requests about these subjects aside, numbered from `first`.
    private static func add(_ subjects: [String], from first: Int = 0, to machine: inout Machine) -> Bool {
        machine.add(subjects.enumerated().map { Request(subject: $1, number: first + $0) })
    }

    private typealias Machine = AsideMachine<Request>

    @Test("is tended by the one who set the first of it aside, until nothing is left")
    func life() {
        var machine = Machine()
        let answers = [Self.add(["a"], to: &machine), Self.add(["b"], to: &machine)]
        #expect(answers == [true, false])
        let round = machine.takeRound()
        #expect(round.map(\.subject) == ["a", "b"])
        let next = machine.ended(refused: [])
        #expect(next == .done)
        let mustTend = Self.add(["a"], to: &machine)
        #expect(mustTend)
    }

    @Test("draws others of its subject after it, until it has an answer")
    func subjects() {
        var machine = Machine()
        #expect(!machine.holds("a"))
        _ = Self.add(["a", "b"], to: &machine)
        #expect(machine.holds("a") && machine.holds("b"))
        let round = machine.takeRound()
        #expect(machine.holds("a") && machine.holds("b"))
        let afterOne = machine.ended(refused: [round[0]])
        #expect(afterOne == .rest)
        #expect(machine.holds("a") && !machine.holds("b"))
        let left = machine.takeRound()
        #expect(left == [round[0]])
        let afterBoth = machine.ended(refused: [])
        #expect(afterBoth == .done)
        #expect(!machine.holds("a"))
    }

    @Test("is tried again at once when something came in meanwhile that may fare better, and keeps its order")
    func rounds() {
        var machine = Machine()
        _ = Self.add(["a", "b"], from: 1, to: &machine)
        let first = machine.takeRound()
        _ = Self.add(["a"], from: 3, to: &machine)
        let hopeless = machine.ended(refused: [first[0]])
        #expect(hopeless == .rest)
        let second = machine.takeRound()
        #expect(second.map(\.number) == [1, 3])
        _ = Self.add(["c"], from: 4, to: &machine)
        let hopeful = machine.ended(refused: [first[0]])
        #expect(hopeful == .again)
        let third = machine.takeRound()
        #expect(third.map(\.number) == [1, 4])
        // One that was drawn after one with an answer may have one, too.
        let mustTend = Self.add(["a"], from: 5, to: &machine)
        #expect(!mustTend)
        let drawn = machine.ended(refused: [])
        #expect(drawn == .again)
        let fourth = machine.takeRound()
        #expect(fourth.map(\.number) == [5])
        let end = machine.ended(refused: [])
        #expect(end == .done)
    }
}
