// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("Patches in the journal")
struct JournalPatchTests {
    private static func journal(_ recorded: [Int32: String]) -> Journal {
        Journal(recorded: recorded.map { RecordedStep(functionID: $0.key, name: $0.value) })
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var recorded: [Int32: String]
        var decision: Journal.PatchDecision
        /// The number of the next operation, after the patch and after a deprecated patch.
        var next: Int32
        var nextDeprecated: Int32 = 1
    }

    static let rows: [Row] = [
        Row(testDescription: "A live run takes the new way", recorded: [:], decision: .record(functionID: 1), next: 2),
        Row(
            testDescription: "A run that took the new way takes it again",
            recorded: [1: "marker", 2: "a"],
            decision: .isRecorded,
            next: 2,
            nextDeprecated: 2
        ),
        Row(testDescription: "A run past it keeps the old way", recorded: [1: "a"], decision: .isAbsent, next: 1),
        Row(testDescription: "Another patch is another way", recorded: [1: "other"], decision: .isAbsent, next: 1),
        Row(
            testDescription: "A gap that an earlier run went past keeps the old way",
            recorded: [2: "b"],
            decision: .isAbsent,
            next: 1
        ),
        Row(
            testDescription: "A marker that is further ahead belongs to another call",
            recorded: [2: "marker"],
            decision: .isAbsent,
            next: 1
        ),
    ]

    @Test("Its table", arguments: rows)
    func table(row: Row) {
        var journal = Self.journal(row.recorded)
        #expect(journal.patch("marker") == row.decision)
        #expect(journal.nextFunctionID == row.next)
        var deprecated = Self.journal(row.recorded)
        deprecated.skipPatch("marker")
        #expect(deprecated.nextFunctionID == row.nextDeprecated)
    }

    @Test("In the gap of parallel steps the old way finds its own numbers")
    func gapOfParallelSteps() throws {
        var journal = Self.journal([1: "a", 3: "c"])
        #expect(try journal.next("a") == .replay(RecordedStep(functionID: 1, name: "a")))
        #expect(journal.patch("marker") == .isAbsent)
        #expect(try journal.next("b") == .execute(functionID: 2))
        #expect(try journal.next("c") == .replay(RecordedStep(functionID: 3, name: "c")))
        #expect(journal.patch("marker") == .record(functionID: 4))
    }

    @Test("What nobody asked for is found, the first of it")
    func unused() throws {
        var journal = Self.journal([1: "a", 2: "marker", 4: "d", 5: "e"])
        #expect(journal.firstUnused?.functionID == 1)
        _ = try journal.next("a")
        #expect(journal.firstUnused?.functionID == 2)
        _ = journal.patch("marker")
        #expect(journal.firstUnused?.functionID == 4)
        for name in ["c", "d", "e"] { _ = try journal.next(name) }
        #expect(journal.firstUnused == nil)
    }
}
