// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("A workflow that its execution has lost", .timeLimit(.minutes(5)))
struct OwnershipTests {
    @Test("to another owner: the next checkpoint writes nothing, and the execution parks")
    func checkpoint() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.step("first") { _ in }
            diary.note("at the door")
            await door.passStubbornly()
            for name: StepName in ["second", "third"] {
                do { try await context.step(name) { _ in diary.note("\(name) ran") } } catch { diary.note("\(error)") }
            }
            diary.note("returned")
            return 7
        } test: { scenario in
            defer { door.open() }
            _ = try await scenario.start(Nothing())
            try await diary.until("at the door")
            try await scenario.database.query("UPDATE {s}.workflow_status SET owner_xid = 'somebody else'")
            door.open()
            try await diary.until("returned")
            try await until("the execution is over") { try await scenario.runningCount() == 0 }
            let lost = "workflow 'w' was interrupted: another executor owns it now"
            // The second may run its body once more before it hears of the loss, the third may not.
            #expect(diary.events.filter { $0 != "second ran" } == ["at the door", lost, lost, "returned"])
            let journal = try await scenario.journal()
            #expect(journal == ["1 first null"])
            let status = try await scenario.database.status(of: "w")
            #expect(status == "PENDING")
            let outputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_output")
            #expect(outputs == 0)
        }
    }

    @Test("to another owner after its last step: the outcome is not written")
    func outcome() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, _) async throws -> Int in
            diary.note("at the door")
            await door.passStubbornly()
            return 7
        } test: { scenario in
            defer { door.open() }
            _ = try await scenario.start(Nothing())
            try await diary.until("at the door")
            try await scenario.database.query("UPDATE {s}.workflow_status SET owner_xid = 'somebody else'")
            door.open()
            try await until("the execution is over") { try await scenario.runningCount() == 0 }
            let status = try await scenario.database.status(of: "w")
            #expect(status == "PENDING")
            let outputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_output")
            #expect(outputs == 0)
        }
    }

    @Test(
        "to any other status than PENDING: the outcome is not written",
        arguments: WorkflowStatus.all.filter { $0 != .pending }
    )
    func status(status: WorkflowStatus) async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, _) async throws -> Int in
            diary.note("at the door")
            await door.passStubbornly()
            return 7
        } test: { scenario in
            defer { door.open() }
            _ = try await scenario.start(Nothing())
            try await diary.until("at the door")
            // The token stays: the status alone has to keep the outcome out.
            try await scenario.database.query(
                "UPDATE {s}.workflow_status SET status = $1, queue_name = 'nobody'",
                .text(status.rawValue)
            )
            door.open()
            try await until("the execution is over") { try await scenario.runningCount() == 0 }
            let after = try await scenario.database.status(of: "w")
            #expect(after == status.rawValue)
            let outputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_output")
            #expect(outputs == 0)
        }
    }

    @Test("because it was deleted: nothing is written, and who waits for it is told")
    func deleted() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("first") { _ in }
            diary.note("at the door")
            do { try await Door().pass() } catch { diary.note("task cancelled") }
            do { try await context.step("second") { _ in } } catch { diary.note("\(error)") }
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await diary.until("at the door")
            try await scenario.database.query("DELETE FROM {s}.workflow_status")
            let text = await failure { _ = try await handle.result() }
            #expect(text == "NonExistentWorkflow: no workflow has the id 'w' any more")
            try await diary.until("workflow 'w' was interrupted: another executor owns it now")
            #expect(diary.events[1] == "task cancelled")
            let rows = try await scenario.database.count(
                "SELECT (SELECT count(*) FROM {s}.workflow_status) + (SELECT count(*) FROM {s}.workflow_output)"
            )
            #expect(rows == 0)
        }
    }

    @Test("is left by parallel steps as well: none of them writes")
    func branches() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.map([1, 2, 3], step: "item") { item, _ in
                diary.note("item")
                await door.passStubbornly()
                return item
            }
            return Nothing()
        } test: { scenario in
            defer { door.open() }
            _ = try await scenario.start(Nothing())
            try await diary.until("item", happened: 3)
            try await scenario.database.query("UPDATE {s}.workflow_status SET owner_xid = 'somebody else'")
            door.open()
            try await until("the execution is over") { try await scenario.runningCount() == 0 }
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("does not disturb those that are committed together with it")
    func batch() async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow { (number: Int, context) async throws -> Int in
            try await context.step("step") { _ in
                diary.note("begun")
                await door.passStubbornly()
            }
            return number
        } test: { scenario in
            defer { door.open() }
            var handles: [WorkflowHandle<Int>] = []
            for number in 0..<40 { handles.append(try await scenario.start(number, id: "w\(number)")) }
            try await diary.until("begun", happened: 40)
            try await scenario.database.query(
                "UPDATE {s}.workflow_status SET owner_xid = 'x' WHERE right(workflow_uuid, 1) = '3'"
            )
            try await scenario.client.cancel(["w7"])
            door.open()
            for (number, handle) in handles.enumerated() where number % 10 != 3 && number != 7 {
                let result = try await handle.result()
                #expect(result == number)
            }
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.operation_outputs")
            #expect(rows == 35)
        }
    }
}
