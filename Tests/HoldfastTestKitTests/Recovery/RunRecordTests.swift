// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@testable import HoldfastTestKit

@Suite("Of two runs")
struct RunRecordTests {
    private static let crash = CrashPoint(
        path: "",
        workflowName: "w",
        place: .operation(number: 2, name: "b"),
        moment: .before
    )

    private static func record(
        _ steps: [(Int32, String, String)],
        begun: [Int32] = [],
        output: String = "1",
        effects: Int = 0
    ) -> RunRecord<Int> {
        let history = WorkflowHistory(
            id: "w",
            name: "w",
            status: .success,
            input: nil,
            output: output,
            steps: steps.map { .init(id: StepID($0.0), name: $0.1, output: $0.2) }
        )
        return RunRecord(histories: ["": history], begun: Set(begun.map { "#\($0)" }), effects: effects)
    }

    private static let reference = record([(1, "a", "1"), (2, "b", "2")])

    @Test(
        "every difference is found, and causes come before effects",
        arguments: [
            (reference, []),
            (record([(1, "a", "1"), (2, "b", "3")]), ["step 2 'b' recorded 2, and after the recovery 3"]),
            (record([(1, "a", "1"), (2, "c", "2")]), ["step 2 was 'b', and after the recovery 'c'"]),
            (record([(1, "a", "1")]), ["step 2 'b' is missing after the recovery"]),
            (
                record([(1, "a", "1"), (2, "b", "2"), (3, "c", "3")]),
                ["step 3 'c' was recorded in addition after the recovery"]
            ),
            // Left behind by the workflow: it may be recorded or not.
            (record([(1, "a", "1")], begun: [2]), []),
            (
                record([(1, "a", "1"), (2, "b", "3")], output: "2"),
                [
                    "step 2 'b' recorded 2, and after the recovery 3",
                    "it returned 1, and after the recovery returned 2",
                ]
            ),
        ] as [(RunRecord<Int>, [String])]
    )
    func differences(other: RunRecord<Int>, sentences: [String]) {
        #expect(Self.reference.differences(from: other, varying: []).map(\.sentence) == sentences)
    }

    @Test("what varies by declaration, sleeps and races is no difference")
    func tolerated() {
        let changed = Self.record([(1, "a", "1"), (2, "b", "3")])
        #expect(Self.reference.differences(from: changed, varying: ["b"]).isEmpty)
        let sleeps = (Self.record([(1, "DBOS.sleep", "1")]), Self.record([(1, "DBOS.sleep", "2")]))
        #expect(sleeps.0.differences(from: sleeps.1, varying: []).isEmpty)
        let races = (Self.record([(1, "DBOS.select", "0")]), Self.record([(1, "DBOS.select", "1")], output: "2"))
        #expect(races.0.differences(from: races.1, varying: []).isEmpty)
    }

    @Test("what undisturbed ones differ in explains what a recovered one differs in, from a fork on all")
    func explained() {
        var places = VaryingPlaces()
        let value = Self.reference.differences(from: Self.record([(1, "a", "9"), (2, "b", "2")]), varying: [])
        let outcome = Self.reference.differences(
            from: Self.record([(1, "a", "1"), (2, "b", "2")], output: "9"),
            varying: []
        )
        let fork = Self.reference.differences(from: Self.record([(1, "a", "1"), (2, "c", "2")]), varying: [])
        places.add(value)
        #expect(value.allSatisfy { places.explains($0) })
        #expect(!outcome.contains { places.explains($0) })
        #expect(!fork.contains { places.explains($0) })
        #expect(places.stepNames == ["a"])
        places.add(fork)
        #expect((fork + outcome).allSatisfy { places.explains($0) })
    }

    @Test(
        "the effects are compared only if they took the same way",
        arguments: [
            // The same way, the same effects; others, before and after enough runs.
            (run("heads", 1), [run("heads", 1)], .same),
            (run("heads", 2), [run("heads", 1)], .needsRun),
            (run("heads", 2), Array(repeating: run("heads", 1), count: 4), .different(0)),
            // Undisturbed, the other way does what the crash did; and the same way does not.
            (run("heads", 2), [run("heads", 1), run("tails", 2), run("tails", 2), run("tails", 2)], .different(0)),
            (run("heads", 2), [run("tails", 2)], .needsRun),
            // A coin that decides no step, but the effect; and ids, which are new every time.
            (coin("1", 2), [coin("0", 2), coin("1", 1), coin("0", 2), coin("1", 1)], .different(1)),
            (coin("7", 1), [coin("4", 1), coin("5", 1), coin("6", 1), coin("3", 1)], .same),
            (coin("7", 1), [coin("4", 4), coin("5", 5)], .needsRun),
            (coin("7", 1), [coin("4", 4), coin("5", 5), coin("6", 6), coin("3", 3)], .varying(0, 1)),
            // One number out of many that decides nothing.
            (coin("7", 2), [coin("4", 1), coin("4", 1), coin("5", 1), coin("6", 1)], .different(0)),
            // A winner that none of them had.
            (race("1", 2), Array(repeating: race("0", 1), count: 4), .needsRun),
            (race("1", 2), Array(repeating: race("0", 1), count: 8), .unknownWay),
            (race("1", 1), Array(repeating: race("0", 1), count: 8), .same),
            (race("1", 2), [race("0", 1), race("1", 1), race("0", 1), race("0", 1)], .different(1)),
        ] as [(RunRecord<Int>, [RunRecord<Int>], EffectsVerdict)]
    )
    func effects(recovered: RunRecord<Int>, undisturbed: [RunRecord<Int>], verdict: EffectsVerdict) {
        #expect(EffectsVerdict.of(recovered, among: undisturbed, enough: 3, most: 8) == verdict)
    }

    private static func run(_ name: String, _ effects: Int) -> RunRecord<Int> {
        self.record([(1, "toss", name == "heads" ? "1" : "0"), (2, name, "2")], effects: effects)
    }

    private static func coin(_ result: String, _ effects: Int) -> RunRecord<Int> {
        self.record([(1, "toss", result), (2, "charge", "2")], effects: effects)
    }

    private static func race(_ winner: String, _ effects: Int) -> RunRecord<Int> {
        self.record([(1, "DBOS.select", winner)], effects: effects)
    }

    @Test("the second may repeat only what was not recorded before the crash, and may change none of it")
    func checkpoints() throws {
        let atCrash = Self.record([(1, "a", "1")]).histories
        try Self.reference.checkCheckpoints(of: atCrash, runs: ["#1": 1, "#2": 2], crash: Self.crash)
        for runs in [["#1": 2, "#2": 2], ["#1": 1, "#2": 3]] {
            let failure = try #require(
                #expect(throws: RecoveryFailure.self) {
                    try Self.reference.checkCheckpoints(of: atCrash, runs: runs, crash: Self.crash)
                }
            )
            #expect(failure.code == .checkpointIgnored)
        }
        for changed in [Self.record([(1, "a", "9"), (2, "b", "2")]), Self.record([(2, "b", "2")])] {
            let failure = #expect(throws: RecoveryFailure.self) {
                try changed.checkCheckpoints(of: atCrash, runs: [:], crash: Self.crash)
            }
            #expect(failure?.step == StepID(1))
        }
    }
}
