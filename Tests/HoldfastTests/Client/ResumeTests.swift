// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("Resuming a workflow", .timeLimit(.minutes(5)))
struct ResumeTests {
    @Test("that was cancelled runs on from its journal, with a fresh deadline and a fresh count")
    func cancelled() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.step("first") { _ in diary.note("first") }
            diary.note("at the door")
            try await door.pass()
            return 7
        } test: { scenario in
            let handle = try await scenario.start(Nothing(), timeout: .seconds(3600))
            try await diary.until("at the door")
            let before = try #require(try await scenario.client.workflow("w").deadline)
            try await handle.cancel()
            door.open()
            let resumed = try await scenario.client.resume(["w"])
            #expect(resumed == ["w"])
            let result = try await handle.result()
            #expect(result == 7)
            #expect(diary.count("first") == 1)
            let snapshot = try await scenario.client.workflow("w")
            #expect(snapshot.recoveryAttempts == 1)
            #expect(snapshot.queue == .internal)
            #expect(try #require(snapshot.deadline) > before)
        }
    }

    @Test("that runs takes it away from its execution, which writes nothing more")
    func running() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            diary.note("begun")
            let number = diary.events.count
            await door.passStubbornly()
            return try await context.step("which") { _ in number }
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await diary.until("begun")
            try await scenario.client.resume(["w"])
            try await diary.until("begun", happened: 2)
            door.open()
            let result = try await handle.result()
            #expect(result == 2)
            let journal = try await scenario.journal()
            #expect(journal == ["1 which 2"])
        }
    }

    @Test("with a worker concurrency of 1 does not wait for the execution that has lost it")
    func ownSlot() async throws {
        let diary = Diary()
        let door = Door()
        defer { door.open() }
        try await withWorkflow(queues: [Queue("q", workerConcurrency: 1)]) {
            (_: Nothing, _) async throws -> Int in
            diary.note("begun")
            if diary.events.count == 1 { await door.passStubbornly() }
            return diary.events.count
        } test: { scenario in
            // The executor must end even if the test fails.
            defer { door.open() }
            let handle = try await scenario.enqueue(Nothing(), .init(id: "w"))
            try await diary.until("begun")
            try await scenario.client.resume(["w"], on: "q")
            let result = try await handle.result()
            #expect(result == 2)
        }
    }

    @Test("puts it onto the queue it is told")
    func queue() async throws {
        try await withWorkflow(queues: [Queue("q")]) { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), on: "nobody", .init(id: "w"))
            try await handle.cancel()
            try await scenario.client.resume(["w"], on: "q")
            _ = try await handle.result()
            let queue = try await scenario.client.workflow("w").queue
            #expect(queue == "q")
        }
    }

    @Test("together with an id that does not exist changes nothing")
    func unknown() async throws {
        try await withWorkflow { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), on: "nobody", .init(id: "w"))
            try await handle.cancel()
            let text = await failure { try await scenario.client.resume(["w", "x", "y"]) }
            #expect(text == "NonExistentWorkflow: no workflow has the id 'x', 'y'; nothing was resumed")
            let status = try await handle.status()
            #expect(status == .cancelled)
        }
    }

    @Test("that is finished leaves it as it is")
    func finished() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, _) async throws -> Nothing in
            diary.note("ran")
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            let resumed = try await scenario.client.resume(["w"])
            #expect(resumed == [])
            #expect(diary.events == ["ran"])
        }
    }
}

@Suite("A workflow that is dispatched too often", .timeLimit(.minutes(5)))
struct DeadLetterTests {
    @Test("is given up at the dispatch after the last that is allowed, and can be resumed")
    func givenUp() async throws {
        let diary = Diary()
        try await withWorkflow(options: WorkflowOptions(maxRecoveryAttempts: 2)) {
            (_: Nothing, _) async throws -> Nothing in
            diary.note("ran")
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), on: "nobody", .init(id: "w"))
            // As after so many crashes; the claim adds one.
            func dispatch(after attempts: Int) async throws {
                try await scenario.database.query(
                    "UPDATE {s}.workflow_status SET recovery_attempts = $1, queue_name = '_dbos_internal_queue'",
                    .int8(Int64(attempts))
                )
            }
            try await dispatch(after: 3)
            let text = await failure { _ = try await handle.result() }
            #expect(text == "workflow 'w' was dispatched too often without an outcome; resume it to try again")
            let snapshot = try await scenario.client.workflow("w")
            #expect(snapshot.status == .recoveryAttemptsExceeded)
            #expect(snapshot.completedAt != nil)
            #expect(snapshot.queue == nil)
            #expect(diary.events == [])

            try await scenario.client.resume(["w"])
            _ = try await handle.result()
            #expect(diary.events == ["ran"])
            let attempts = try await scenario.client.workflow("w").recoveryAttempts
            #expect(attempts == 1)
        }
    }

    @Test("runs at the last dispatch that is allowed")
    func lastAllowed() async throws {
        try await withWorkflow(options: WorkflowOptions(maxRecoveryAttempts: 2)) {
            (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), on: "nobody", .init(id: "w"))
            try await scenario.database.query(
                "UPDATE {s}.workflow_status SET recovery_attempts = 2, queue_name = '_dbos_internal_queue'"
            )
            _ = try await handle.result()
        }
    }

    @Test("is never given up without a limit, or with the largest", arguments: [nil, Int.max])
    func unlimited(limit: Int?) async throws {
        try await withWorkflow(options: WorkflowOptions(maxRecoveryAttempts: limit)) {
            (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let handle = try await scenario.enqueue(Nothing(), on: "nobody", .init(id: "w"))
            try await scenario.database.query(
                "UPDATE {s}.workflow_status SET recovery_attempts = 100000, queue_name = '_dbos_internal_queue'"
            )
            _ = try await handle.result()
        }
    }
}
