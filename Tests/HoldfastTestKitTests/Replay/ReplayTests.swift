// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastTestKit
import Testing

@Suite("A recorded history", .timeLimit(.minutes(5)))
struct ReplayTests {
    /// As it was when the histories were recorded, or changed in one way or another.
    struct Changing: Workflow {
        enum Change: Sendable, CaseIterable {
            case none, renamedStep, removedStep, addedStep, swappedSteps, otherResult, otherInput, laterStep
        }

        static let name: WorkflowName = "changing"
        var change = Change.none

        func run(_ order: [String: Int], context: WorkflowContext) async throws -> String {
            let total = order.values.reduce(0, +)
            if self.change == .otherInput { throw Refused(reason: "no orders today") }
            if self.change == .addedStep { try await context.step("check") { _ in } }
            if self.change == .swappedSteps { try await context.sleep(for: .seconds(60)) }
            let name: StepName = self.change == .renamedStep ? "bill" : "charge"
            let charge = try await context.step(name) { _ in "charge of \(total)" }
            if self.change != .swappedSteps, self.change != .removedStep { try await context.sleep(for: .seconds(60)) }
            let fees = try await context.map([1, 2], step: "fee") { part, _ in part * total / 100 }
            if self.change == .laterStep { try await context.step("thanks") { _ in } }
            return self.change == .otherResult ? charge : "\(charge), fees \(fees)"
        }
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Histories")

    @Test("that is kept as a file fits the code that wrote it", arguments: try WorkflowHistory.all(in: folder))
    func fits(history: WorkflowHistory) async throws {
        try await replay(history: history, against: Changing())
    }

    @Test(
        "of an ended workflow does not fit changed code, and names the step",
        arguments: [
            (Changing.Change.renamedStep, 1, "'charge' is recorded, but the code calls 'bill'"),
            (.removedStep, 2, "'DBOS.sleep' is recorded, but the code calls 'fee'"),
            (.addedStep, 1, "'charge' is recorded, but the code calls 'check'"),
            (.swappedSteps, 1, "'charge' is recorded, but the code calls 'DBOS.sleep'"),
            (.otherResult, nil, #"it returned "charge of 300, fees [3, 6]", but the code returns "charge of 300""#),
            (.otherInput, 1, "'charge' is recorded, but the code does not call it"),
            (.laterStep, 5, "the workflow has ended without it, but the code calls 'thanks'"),
        ] as [(Changing.Change, Int32?, String)]
    )
    func changed(change: Changing.Change, step: Int32?, detail: String) async throws {
        let history = try WorkflowHistory(contentsOf: Self.folder.appending(path: "ended.json"))
        let failure = try #require(
            await #expect(throws: ReplayFailure.self) {
                try await replay(history: history, against: Changing(change: change))
            }
        )
        #expect(failure.step == step.map { StepID($0) })
        #expect(failure.message.contains(detail))
        #expect(failure.workflowID == history.id)
    }

    @Test("of an open workflow must fit only as far as it goes", arguments: Changing.Change.allCases)
    func open(change: Changing.Change) async throws {
        let history = try WorkflowHistory(contentsOf: Self.folder.appending(path: "open.json"))
        let fits = [.none, .otherResult, .laterStep].contains(change)
        do {
            try await replay(history: history, against: Changing(change: change))
            #expect(fits)
        } catch let failure as ReplayFailure {
            #expect(!fits, "\(failure)")
        }
    }

    @Test("of another workflow is refused by name")
    func unknown() async throws {
        let history = WorkflowHistory(id: "w", name: "other", status: .success, input: nil, steps: [])
        let failure = try #require(
            await #expect(throws: ReplayFailure.self) { try await replay(history: history, against: Changing()) }
        )
        #expect(failure.step == nil)
        #expect(failure.message.contains("workflow 'other' is not registered"))
    }

    @Test("is written by a client, and read back the same")
    func roundTrip() async throws {
        let workflow = Written { (input: Int, context) async throws -> Double in
            try await context.step("fail", retry: .never) { _ in if input < 0 { throw Refused(reason: "negative") } }
            return try await context.step("half") { _ in Double(input) / 2 }
        }
        try await withTestFleet(workflows: workflow) { fleet in
            for input in [5, -5] {
                let handle = try await fleet[0].client.start(type(of: workflow), input)
                _ = try? await handle.result()
                let history = try await fleet.client.history(of: handle.id)
                #expect(history.status == (input < 0 ? .error : .success))
                #expect(history.steps.map(\.name) == (input < 0 ? ["fail"] : ["fail", "half"]))
                #expect(try WorkflowHistory(json: history.json) == history)
                try await replay(history: history, against: workflow)
            }
        }
    }

    @Test("with a gap between parallel steps fits as long as nobody needs what is missing")
    func gap() async throws {
        let workflow = Written { (isNeeded: Bool, context) async throws -> Int in
            let slow = try context.startStep("slow") { _ in 1 }
            let fast = try await context.step("fast") { _ in 2 }
            return isNeeded ? fast + (try await slow.value) : fast
        }
        func history(_ isNeeded: Bool, _ status: WorkflowStatus) -> WorkflowHistory {
            WorkflowHistory(
                id: "w",
                name: "written",
                status: status,
                input: #"{"positionalArgs":[\#(isNeeded)]}"#,
                output: status == .success ? "2" : nil,
                steps: [.init(id: StepID(2), name: "fast", output: "2")]
            )
        }
        try await replay(history: history(false, .success), against: workflow)
        try await replay(history: history(false, .pending), against: workflow)
        try await replay(history: history(true, .pending), against: workflow)
        let failure = try #require(
            await #expect(throws: ReplayFailure.self) {
                try await replay(history: history(true, .success), against: workflow)
            }
        )
        #expect(failure.step == StepID(1))
    }

    @Test(
        "that is none is refused, and the error says why",
        arguments: [
            ("", "expected"), ("[]", "not an object"), (#"{"id":"w"}"#, "'steps' is not a list"),
            (#"{"id":1,"steps":[]}"#, "'id' is not a text"),
            (#"{"id":"w","name":"n","status":"SUCCESS","steps":[{"step":"1"}]}"#, "'step' is not a number"),
            (
                #"{"id":"w","name":"n","status":"SUCCESS","steps":[{"step":2,"name":"b"},{"step":1,"name":"a"}]}"#,
                "do not grow"
            ),
        ]
    )
    func malformed(text: String, reason: String) throws {
        let error = try #require(#expect(throws: HoldfastError.self) { try WorkflowHistory(json: text) })
        #expect(error.code == .undecodable)
        #expect(error.message.contains(reason), "\(error)")
    }

    @Test("must be there at all")
    func empty() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        let error = try #require(#expect(throws: TestKitError.self) { try WorkflowHistory.all(in: folder) })
        #expect(error.code == .invalidArgument)
    }
}
