// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("Delays and time-outs", .timeLimit(.minutes(5)))
struct DelayTests {
    @Test("delayed work is not claimed before its time")
    func delay() async throws {
        try await withWorkflow(queues: [Queue("q")]) { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), .init(id: "w", delay: .milliseconds(300)))
            let early = try await scenario.client.workflow("w")
            #expect(early.status == .delayed)
            let delayedUntil = try #require(early.delayedUntil)
            #expect(abs(delayedUntil.timeIntervalSince(early.createdAt) - 0.3) < 0.25)
            _ = try await handle.result()
            let startedAt = try #require(try await scenario.client.workflow("w").startedAt)
            #expect(startedAt >= delayedUntil)
        }
    }

    @Test("a workflow whose deadline has passed is cancelled, and so is its code")
    func deadline() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("endless") { _ in
                do { try await Door().pass() } catch {
                    diary.note("cancelled")
                    throw error
                }
            }
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.start(Nothing(), timeout: .milliseconds(100))
            let text = await failure { _ = try await handle.result() }
            #expect(text == "workflow 'w' was cancelled")
            try await diary.until("cancelled")
            let snapshot = try await scenario.client.workflow("w")
            let deadline = try #require(snapshot.deadline)
            #expect(try #require(snapshot.completedAt) >= deadline)
            #expect(snapshot.timeout == .milliseconds(100))
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("the time-out of queued work begins at its claim, and a second claim does not prolong it")
    func fromClaim() async throws {
        try await withWorkflow(queues: [Queue("q")]) { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(
                Nothing(),
                on: "later",
                .init(id: "w", timeout: .seconds(3600))
            )
            let waiting = try await scenario.client.workflow("w")
            #expect(waiting.deadline == nil)
            #expect(waiting.timeout == .seconds(3600))
            try await scenario.database.query("UPDATE {s}.workflow_status SET queue_name = 'q'")
            _ = try await handle.result()
            let first = try await scenario.client.workflow("w")
            let deadline = try #require(first.deadline)
            let startedAt = try #require(first.startedAt)
            #expect(abs(deadline.timeIntervalSince(startedAt) - 3600) < 5)
            _ = try await scenario.replay()
            let second = try await scenario.client.workflow("w")
            #expect(second.deadline == deadline)
            #expect(second.recoveryAttempts == 2)
        }
    }

    @Test("queued work whose inherited deadline passes is cancelled where it waits")
    func whileWaiting() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.start(
                WorkflowReference<Nothing, Nothing>("w"),
                Nothing(),
                on: "nobody",
                options: .init(id: "child")
            )
            try await context.sleep(for: .seconds(3600))
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.start(Nothing(), timeout: .seconds(3600))
            try await scenario.database.until("child", is: .enqueued)
            let deadline = try await scenario.client.workflow(handle.id).deadline
            #expect(deadline != nil)
            let inherited = try await scenario.client.workflow("child").deadline
            #expect(inherited == deadline)
            try await scenario.database.query("UPDATE {s}.workflow_status SET workflow_deadline_epoch_ms = 1")
            _ = await failure { _ = try await handle.result() }
            try await scenario.database.until("child", is: .cancelled)
            let attempts = try await scenario.client.workflow("child").recoveryAttempts
            #expect(attempts == 0)
        }
    }
}
