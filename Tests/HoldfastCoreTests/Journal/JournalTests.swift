// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

@Suite("The journal")
struct JournalTests {
    /// What a call of `next` leads to, in a form that can be compared and read.
    enum Answer: Equatable, Sendable {
        case execute(Int32)
        case replay(Int32)
        case mismatch(Int32, recorded: String)
    }

    struct Line: Sendable {
        var isReplayingBefore: Bool
        var call: String
        var answer: Answer

        init(replaying isReplayingBefore: Bool, _ call: String, _ answer: Answer) {
            self.isReplayingBefore = isReplayingBefore
            self.call = call
            self.answer = answer
        }
    }

    struct Dialogue: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var recorded: [Int32: String]
        var lines: [Line]
    }

    static let dialogues: [Dialogue] = [
        Dialogue(
            testDescription: "A fresh workflow executes everything, numbered from 1",
            recorded: [:],
            lines: [
                Line(replaying: false, "a", .execute(1)),
                Line(replaying: false, "b", .execute(2)),
                Line(replaying: false, "a", .execute(3)),
            ]
        ),
        Dialogue(
            testDescription: "What is recorded is replayed, then the run is live",
            recorded: [1: "a", 2: "b"],
            lines: [
                Line(replaying: true, "a", .replay(1)),
                Line(replaying: true, "b", .replay(2)),
                Line(replaying: false, "c", .execute(3)),
                Line(replaying: false, "d", .execute(4)),
            ]
        ),
        Dialogue(
            // Parallel steps leave gaps. The call of 4 was reached before, so the code up to it did run before.
            testDescription: "A gap is executed, and the run still replays: what follows was reached before",
            recorded: [1: "a", 2: "b", 4: "d"],
            lines: [
                Line(replaying: true, "a", .replay(1)),
                Line(replaying: true, "b", .replay(2)),
                Line(replaying: true, "c", .execute(3)),
                Line(replaying: true, "d", .replay(4)),
                Line(replaying: false, "e", .execute(5)),
            ]
        ),
        Dialogue(
            testDescription: "A gap takes any name",
            recorded: [2: "b"],
            lines: [
                Line(replaying: true, "whatever", .execute(1)),
                Line(replaying: true, "b", .replay(2)),
            ]
        ),
        Dialogue(
            testDescription: "Another name than the recorded one is a mismatch, and its number is taken",
            recorded: [1: "a", 2: "b"],
            lines: [
                Line(replaying: true, "x", .mismatch(1, recorded: "a")),
                Line(replaying: true, "b", .replay(2)),
                Line(replaying: false, "c", .execute(3)),
            ]
        ),
        Dialogue(
            testDescription: "Names are compared exactly",
            recorded: [1: "a", 2: "A", 3: ""],
            lines: [
                Line(replaying: true, "A", .mismatch(1, recorded: "a")),
                Line(replaying: true, "a", .mismatch(2, recorded: "A")),
                Line(replaying: true, "", .replay(3)),
            ]
        ),
        Dialogue(
            testDescription: "Numbers below 1 are never asked for",
            recorded: [-1: "x", 0: "y"],
            lines: [
                Line(replaying: false, "a", .execute(1)),
                Line(replaying: false, "b", .execute(2)),
            ]
        ),
        Dialogue(
            testDescription: "A number far ahead keeps the run replaying",
            recorded: [.max: "z"],
            lines: [
                Line(replaying: true, "a", .execute(1)),
                Line(replaying: true, "b", .execute(2)),
            ]
        ),
    ]

    @Test("Its dialogues", arguments: dialogues)
    func dialogue(_ dialogue: Dialogue) {
        var journal = Journal(recorded: dialogue.recorded.map { RecordedStep(functionID: $0.key, name: $0.value) })
        for (index, line) in dialogue.lines.enumerated() {
            #expect(journal.nextFunctionID == Int32(index + 1))
            #expect(journal.isReplaying == line.isReplayingBefore, "before line \(index + 1)")
            #expect(Self.call(line.call, on: &journal) == line.answer, "line \(index + 1)")
        }
    }

    @Test("A replay hands back the whole record")
    func wholeRecord() throws {
        let step = RecordedStep(
            functionID: 1,
            name: "a",
            output: "1",
            error: "{}",
            childWorkflowID: "child",
            serialization: "portable_json"
        )
        var journal = Journal(recorded: [step])
        #expect(try journal.next("a") == .replay(step))
    }

    @Test("Of two records with one number the first counts, and is answered once")
    func duplicates() throws {
        let first = RecordedStep(functionID: 1, name: "a", output: "1")
        let second = RecordedStep(functionID: 1, name: "b", output: "2")
        var journal = Journal(recorded: [first, second])
        #expect(try journal.next("a") == .replay(first))
        #expect(!journal.isReplaying)
        #expect(try journal.next("b") == .execute(functionID: 2))
    }

    @Test("The order of the records does not matter")
    func orderOfRecords() throws {
        var journal = Journal(recorded: [3, 1, 2].map { RecordedStep(functionID: $0, name: "\($0)") })
        for number: Int32 in 1...3 {
            #expect(try journal.next("\(number)") == .replay(RecordedStep(functionID: number, name: "\(number)")))
        }
    }

    /// Whatever is recorded and called: every call takes exactly the next number, replays only the record of that number
    /// and only once, and a live run never becomes a replay again.
    @Test("The counter never goes back, and live stays live", arguments: 1...20)
    func counter(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            var recorded: [Int32: String] = [:]
            for _ in 0..<generator.below(12) { recorded[Int32(generator.below(20))] = generator.chance(50) ? "a" : "b" }
            var journal = Journal(recorded: recorded.map { RecordedStep(functionID: $0.key, name: $0.value) })
            var wasLive = false
            for number: Int32 in 1...24 {
                #expect(journal.nextFunctionID == number)
                let isAnyAhead = recorded.keys.contains { $0 >= number }
                #expect(journal.isReplaying == isAnyAhead)
                #expect(!(wasLive && journal.isReplaying))
                wasLive = !journal.isReplaying
                let name = generator.chance(80) ? recorded[number] ?? "a" : "b"
                let answer = Self.call(name, on: &journal)
                switch recorded[number] {
                case nil: #expect(answer == .execute(number))
                case name: #expect(answer == .replay(number))
                case .some(let other): #expect(answer == .mismatch(number, recorded: other))
                }
            }
        }
    }

    private static func call(_ name: String, on journal: inout Journal) -> Answer {
        do throws(Journal.Mismatch) {
            switch try journal.next(name) {
            case .execute(let number): return .execute(number)
            case .replay(let step): return .replay(step.functionID)
            }
        } catch {
            #expect(error.called == name)
            return .mismatch(error.functionID, recorded: error.recorded)
        }
    }
}
