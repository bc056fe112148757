// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("Cancelling a workflow", .timeLimit(.minutes(5)))
struct CancelTests {
    @Test("that waits on a queue: it never runs")
    func waiting() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, _) async throws -> Nothing in
            diary.note("ran")
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), on: "later", .init(id: "w"))
            let delayed = try await scenario.enqueue(Nothing(), on: "later", .init(id: "d", delay: .seconds(3600)))
            let cancelled = try await scenario.client.cancel(["w", "d"])
            #expect(Set(cancelled) == ["w", "d"])
            for handle in [handle, delayed] {
                let text = await failure { _ = try await handle.result() }
                #expect(text == "workflow '\(handle.id)' was cancelled")
            }
            let snapshot = try await scenario.client.workflow("w")
            #expect(snapshot.queue == nil)
            #expect(snapshot.completedAt != nil)
            #expect(diary.events == [])
        }
    }

    @Test("that runs: its task is cancelled, and nothing is recorded afterwards")
    func running() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> String in
            try await context.step("first") { _ in }
            do { try await Door().pass() } catch { diary.note("task cancelled: \(Task.isCancelled)") }
            // Catches everything and goes on, which must lead nowhere.
            for name: StepName in ["second", "third"] {
                do { try await context.step(name) { _ in diary.note("ran on") } } catch { diary.note("\(error)") }
            }
            do { try await context.sleep(for: .milliseconds(1)) } catch { diary.note("\(error)") }
            do { _ = try context.startStep("branch") { _ in 1 } } catch { diary.note("\(error)") }
            diary.note("returned")
            return "kept alive"
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await scenario.database.until("SELECT count(*) FROM {s}.operation_outputs", is: 1)
            try await handle.cancel()
            try await diary.until("returned")
            let interrupted = "workflow 'w' was interrupted: it was cancelled"
            #expect(diary.events == ["task cancelled: true"] + Array(repeating: interrupted, count: 4) + ["returned"])
            let text = await failure { _ = try await handle.result() }
            #expect(text == "workflow 'w' was cancelled")
            let journal = try await scenario.journal()
            #expect(journal == ["1 first null"])
            let outputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_output")
            #expect(outputs == 0)
        }
    }

    @Test("between its last step and its outcome: it stays cancelled")
    func beforeOutcome() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, _) async throws -> String in
            diary.note("last")
            await door.passStubbornly()
            diary.note("returned")
            return "too late"
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await diary.until("last")
            try await handle.cancel()
            door.open()
            try await diary.until("returned")
            try await until("the execution is over") { try await scenario.runningCount() == 0 }
            let status = try await scenario.database.status(of: "w")
            #expect(status == "CANCELLED")
            let outputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_output")
            #expect(outputs == 0)
        }
    }

    @Test("that is finished has no effect")
    func finished() async throws {
        try await withWorkflow { (fails: Bool, _) async throws -> Int in
            if fails { throw RecordedError(name: "Boom", message: "bang") }
            return 7
        } test: { scenario in
            let good = try await scenario.start(false, id: "good")
            _ = try await good.result()
            let bad = try await scenario.start(true, id: "bad")
            _ = await failure { _ = try await bad.result() }
            let cancelled = try await scenario.client.cancel(["good", "bad"])
            #expect(cancelled == [])
            try await scenario.client.cancel("good")
            let result = try await good.result()
            #expect(result == 7)
            let status = try await bad.status()
            #expect(status == .error)
        }
    }

    @Test("frees its slot, so that the next one runs")
    func slot() async throws {
        let diary = Diary()
        try await withWorkflow(queues: [Queue("q", workerConcurrency: 1)]) {
            (isStubborn: Bool, _) async throws -> Nothing in
            diary.note("begun")
            // Ignores its cancellation for as long as the test lasts.
            if isStubborn { await Self.endOfTest.passStubbornly() }
            return Nothing()
        } test: { scenario in
            defer { Self.endOfTest.open() }
            let first = try await scenario.enqueue(true)
            try await diary.until("begun")
            let second = try await scenario.enqueue(false)
            try await first.cancel()
            _ = try await second.result()
        }
    }

    private static let endOfTest = Door()
}

extension Scenario {
    /// How many workflows the executors say they run; as old as the last heartbeat.
    func runningCount() async throws -> Int {
        try await self.database.count("SELECT coalesce(sum(running), 0)::int FROM {h}.executors")
    }
}
