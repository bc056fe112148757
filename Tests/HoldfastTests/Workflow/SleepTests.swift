// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("A durable sleep", .timeLimit(.minutes(5)))
struct SleepTests {
    @Test("records when it ends, as seconds since 1970")
    func recorded() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.sleep(for: .milliseconds(200))
            return Nothing()
        } test: { scenario in
            let began = ContinuousClock.now
            _ = try await scenario.run(Nothing())
            #expect(ContinuousClock.now - began >= .milliseconds(190))
            let step = try #require(try await scenario.client.steps(of: "w").first)
            #expect(step.name == "DBOS.sleep")
            let wakeUp = try #require(Double(step.output ?? ""))
            let startedAt = try #require(step.startedAt).timeIntervalSince1970
            let completedAt = try #require(step.completedAt).timeIntervalSince1970
            #expect(abs(wakeUp - startedAt - 0.2) < 0.0015)
            #expect(abs(wakeUp - completedAt) < 0.0015)
        }
    }

    @Test("is over at once on replay when its end has passed")
    func over() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.sleep(for: .seconds(3600))
            return Nothing()
        } test: { scenario in
            _ = try await scenario.start(Nothing())
            try await scenario.database.until("SELECT count(*) FROM {s}.operation_outputs", is: 1)
            // As if the process had been down for an hour.
            try await scenario.database.query("UPDATE {s}.operation_outputs SET output = '1700000000.5'")
            _ = try await scenario.replay()
        }
    }

    @Test("sleeps only the rest in the executor that comes after")
    func rest() async throws {
        let workflow = WorkflowReference<Nothing, Nothing>("w")
        @Sendable func run(_: Nothing, _ context: WorkflowContext) async throws -> Nothing {
            try await context.sleep(for: .seconds(2))
            return Nothing()
        }
        try await TestDatabase.with { database in
            try await withExecutor(database) { registry in
                try registry.register(workflow, run: run)
            } _: { executor in
                _ = try await executor.client.start(workflow, Nothing(), options: .init(id: "w"))
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 1)
            }
            try await withExecutor(database) { registry in
                try registry.register(workflow, run: run)
            } _: { executor in
                _ = try await executor.client.retrieve("w", as: Nothing.self).result()
                let snapshot = try await executor.client.workflow("w")
                let step = try #require(try await executor.client.steps(of: "w").first)
                let completedAt = try #require(snapshot.completedAt)
                let wakeUp = try #require(step.completedAt)
                let startedAt = try #require(step.startedAt)
                #expect(completedAt >= wakeUp)
                #expect(wakeUp.timeIntervalSince(startedAt) < 2.001)
                #expect(snapshot.recoveryAttempts == 1)
            }
        }
    }

    @Test("of zero or less does nothing and takes no number", arguments: [Duration.zero, .seconds(-5)])
    func nothing(duration: Duration) async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.sleep(for: duration)
            return try await context.step("after") { step in Int(step.id.number) }
        } test: { scenario in
            let number = try await scenario.run(Nothing())
            #expect(number == 1)
        }
    }

    @Test("beyond the end of time lasts until the workflow is cancelled")
    func endless() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            defer { diary.note("ended") }
            try await context.sleep(for: .seconds(Int64.max))
            diary.note("woke up")
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await scenario.database.until("SELECT count(*) FROM {s}.operation_outputs", is: 1)
            try await handle.cancel()
            try await diary.until("ended")
            #expect(diary.events == ["ended"])
        }
    }
}
