// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("A step", .timeLimit(.minutes(5)))
struct StepTests {
    /// Its JSON form keeps milliseconds only.
    struct Stamp: Codable, Sendable, Equatable {
        var date: Date
    }

    private static let oddMoment = Stamp(date: Date(timeIntervalSince1970: 1_700_000_000.123_456_7))

    @Test("is recorded, and answered from the record on replay")
    func recorded() async throws {
        let diary = Diary()
        try await withWorkflow { (name: String, context) async throws -> String in
            let first = try await context.step("first") { _ in
                diary.note("first")
                return "\(name)1"
            }
            return try await context.step("second") { _ in
                diary.note("second")
                return "\(first)2"
            }
        } test: { scenario in
            let live = try await scenario.run("x")
            let replayed = try await scenario.replay(keeping: 1)
            #expect(live == "x12")
            #expect(replayed == live)
            #expect(diary.events == ["first", "second", "second"])
            let journal = try await scenario.journal()
            #expect(journal == [#"1 first "x1""#, #"2 second "x12""#])
        }
    }

    @Test("returns live what replay returns, when the JSON form loses something")
    func liveEqualsReplay() async throws {
        let seen = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Bool in
            let stamp = try await context.step("now") { _ in Self.oddMoment }
            seen.note("\(stamp.date.timeIntervalSince1970.bitPattern)")
            return stamp == Self.oddMoment
        } test: { scenario in
            let isUnchanged = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            #expect(!isUnchanged, "the JSON form is expected to cut the date to milliseconds")
            #expect(seen.events.count == 2)
            #expect(Set(seen.events).count == 1)
        }
    }

    @Test("that returns nothing stores null")
    func void() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("effect") { _ in diary.note("ran") }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            let journal = try await scenario.journal()
            #expect(journal == ["1 effect null"])
            #expect(diary.events == ["ran"])
        }
    }

    @Test("called inside a step is part of it and takes no number")
    func nested() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> [Int] in
            let inside = try await context.step("outer") { _ in
                try await context.step("inner") { step in Int(step.id.number) }
            }
            let after = try await context.step("after") { step in Int(step.id.number) }
            return [inside, after]
        } test: { scenario in
            let numbers = try await scenario.run(Nothing())
            #expect(numbers == [1, 2])
            let journal = try await scenario.journal()
            #expect(journal == ["1 outer 1", "2 after 2"])
        }
    }

    @Test("knows its workflow, its number, its name and its attempt")
    func context() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> String in
            try await context.step("look", retry: .exponential(maxAttempts: 2, interval: .zero)) { step in
                if step.attempt == 1 { throw CancellationError() }
                return "\(step.workflowID) \(step.id) \(step.name) \(step.attempt)"
            }
        } test: { scenario in
            let text = try await scenario.run(Nothing())
            #expect(text == "w 1 look 2")
        }
    }

    @Test("refuses durable operations of the workflow inside it", arguments: ["sleep", "start", "startStep", "map"])
    func misplaced(operation: String) async throws {
        try await withWorkflow { (operation: String, context) async throws -> Nothing in
            try await context.step("outer") { _ in
                switch operation {
                case "sleep": try await context.sleep(for: .seconds(1))
                case "start": _ = try await context.start(WorkflowReference<String, Nothing>("w"), "none")
                case "startStep": _ = try context.startStep("branch") { _ in 1 }
                default: _ = try await context.map([1], step: "item") { item, _ in item }
                }
            }
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(operation) }
            #expect(text.contains("MisplacedCall"))
            #expect(text.contains("inside a step"))
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 1)
        }
    }

    @Test("called from another task than the workflow's is refused")
    func foreignTask() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            // What a program in Swift 5 mode could write.
            nonisolated(unsafe) let escaped = context
            try await Task { try await escaped.step("foreign") { _ in } }.value
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text.contains("MisplacedCall"))
            #expect(text.contains("'foreign' was called from another task"))
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("is answered from the journal when a cancelled workflow is resumed")
    func resumed() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            let first = try await context.step("first") { _ in
                diary.note("first")
                return 1
            }
            return try await context.step("second") { _ in
                diary.note("second")
                try await door.pass()
                return first + 1
            }
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await diary.until("second")
            try await scenario.client.cancel("w")
            try await scenario.client.resume(["w"])
            try await diary.until("second", happened: 2)
            door.open()
            let result = try await handle.result()
            #expect(result == 2)
            #expect(diary.count("first") == 1)
        }
    }

    @Test("is not run again by the executor that comes after")
    func secondExecutor() async throws {
        let diary = Diary()
        let workflow = WorkflowReference<Nothing, Int>("w")
        let door = Door()
        @Sendable func run(_: Nothing, _ context: WorkflowContext) async throws -> Int {
            let first = try await context.step("first") { _ in
                diary.note("first")
                return 1
            }
            diary.note("waiting")
            try await door.pass()
            return try await context.step("second") { _ in first + 1 }
        }
        try await TestDatabase.with { database in
            try await withExecutor(database) { registry in
                try registry.register(workflow, run: run)
            } _: { executor in
                _ = try await executor.client.start(workflow, Nothing(), options: .init(id: "w"))
                try await diary.until("waiting")
            }
            door.open()
            try await withExecutor(database) { registry in
                try registry.register(workflow, run: run)
            } _: { executor in
                let result = try await executor.client.retrieve("w", as: Int.self).result()
                #expect(result == 2)
            }
            #expect(diary.events == ["first", "waiting", "waiting"])
        }
    }
}
