// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("A step's bad input", .timeLimit(.minutes(5)))
struct StepInputTests {
    @Test(
        "a name that is blank, reserved or cannot be stored is refused",
        arguments: ["", " \t", "DBOS.sleep", "a\0b"]
    )
    func names(name: String) async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step(StepName(name)) { _ in }
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text.contains("InvalidArgument"))
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("a result that is too large is an error that names the workflow and the step")
    func tooLarge() async throws {
        try await withWorkflow(configure: { $0.payloadLimits.maxBytes = 1000 }) {
            (_: Nothing, context) async throws -> String in
            try await context.step("big") { _ in String(repeating: "x", count: 1000) }
        } test: { scenario in
            let live = await failure { _ = try await scenario.run(Nothing()) }
            let replayed = await failure { _ = try await scenario.replay() }
            #expect(live.contains("PayloadTooLarge: workflow 'w', step 1 'big': 1002 bytes"))
            #expect(replayed == live)
        }
    }

    @Test("a result that JSON cannot express is an error that says where, and is not tried again")
    func notANumber() async throws {
        struct Reading: Codable, Sendable {
            var celsius: Double
        }
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.step("measure", retry: .exponential(maxAttempts: 3, interval: .zero)) { _ in
                diary.note("measured")
                return Reading(celsius: .nan)
            }
            return Nothing()
        } test: { scenario in
            let live = await failure { _ = try await scenario.run(Nothing()) }
            let replayed = await failure { _ = try await scenario.replay() }
            #expect(live.contains("Unencodable: workflow 'w', step 1 'measure'"))
            #expect(live.contains("celsius"))
            #expect(replayed == live)
            #expect(diary.events == ["measured"])
        }
    }

    @Test("a NUL in a result is an error of the step, in an error's message it is replaced")
    func nul() async throws {
        struct Odd: Error, CustomStringConvertible {
            var description: String { "a\0b" }
        }
        try await withWorkflow { (_: Nothing, context) async throws -> String in
            do {
                return try await context.step("nul") { _ in "a\0b" }
            } catch let error as RecordedError {
                #expect(error.name == "Unencodable")
            }
            do { try await context.step("odd") { _ in throw Odd() } } catch let error as RecordedError {
                return error.message
            }
            return ""
        } test: { scenario in
            let message = try await scenario.run(Nothing())
            #expect(message == "a\u{FFFD}b")
        }
    }

    @Test("a workflow's output that JSON cannot express, or that is too large, ends it with an error")
    func output() async throws {
        try await withWorkflow(configure: { $0.payloadLimits.maxBytes = 1000 }) {
            (length: Int, _) async throws -> [String: Double] in
            length == 0 ? ["x": .infinity] : [String(repeating: "k", count: length): 1]
        } test: { scenario in
            let infinite = await failure { _ = try await scenario.run(0, id: "infinite") }
            #expect(infinite.contains("Unencodable: workflow 'w'"))
            let large = await failure { _ = try await scenario.run(1000, id: "large") }
            #expect(large.contains("PayloadTooLarge: workflow 'large'"))
            let rows = try await scenario.database.count(
                "SELECT count(*) FROM {s}.workflow_status WHERE status = 'ERROR'"
            )
            #expect(rows == 2)
        }
    }

    @Test("a recorded value of another type than the code expects is an error that names the step")
    func changedType() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.step("count") { _ in 7 }
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            try await scenario.database.query(#"UPDATE {s}.operation_outputs SET output = '"seven"'"#)
            let text = await failure { _ = try await scenario.replay() }
            #expect(text.contains("Undecodable: workflow 'w', step 1 'count'"))
        }
    }
}

@Suite("Code that has changed since a workflow began", .timeLimit(.minutes(5)))
struct ChangedCodeTests {
    /// A workflow that calls a step for each name it is told, as different builds of the code would.
    private static func replay(
        _ before: [String],
        _ after: [String],
        _ check: @escaping @Sendable (Scenario<Nothing, Int>, Result<Int, any Error>) async throws -> Void
    ) async throws {
        let runs = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            runs.note("run")
            let names = runs.events.count == 1 ? before : after
            for name in names { try await context.step(StepName(name)) { _ in } }
            return names.count
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            let outcome: Result<Int, any Error>
            do { outcome = .success(try await scenario.replay()) } catch { outcome = .failure(error) }
            try await check(scenario, outcome)
        }
    }

    @Test("a renamed step ends the workflow with an error that names the number and both names")
    func renamed() async throws {
        try await Self.replay(["a", "b"], ["a", "c"]) { scenario, outcome in
            let error = outcome.failure
            #expect(error.contains("UnexpectedStep: workflow 'w', step 2: 'b' is recorded here"))
            #expect(error.contains("the code now calls 'c'"))
            let status = try await scenario.database.status(of: "w")
            #expect(status == "ERROR")
        }
    }

    @Test("reordered steps are found out at the first that differs")
    func reordered() async throws {
        try await Self.replay(["a", "b", "c"], ["a", "c", "b"]) { _, outcome in
            let error = outcome.failure
            #expect(error.contains("step 2: 'b' is recorded here, but the code now calls 'c'"))
        }
    }

    @Test("fewer steps at the end are no error: what is left of the record is not looked at")
    func fewer() async throws {
        try await Self.replay(["a", "b"], ["a"]) { scenario, outcome in
            let count = try outcome.get()
            #expect(count == 1)
            let journal = try await scenario.journal()
            #expect(journal == ["1 a null", "2 b null"])
        }
    }

    @Test("more steps at the end run")
    func more() async throws {
        try await Self.replay(["a"], ["a", "b"]) { scenario, _ in
            let journal = try await scenario.journal()
            #expect(journal == ["1 a null", "2 b null"])
        }
    }
}
