// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("A child workflow", .timeLimit(.minutes(5)))
struct ChildTests {
    static let double = WorkflowReference<Int, Int>("double")

    private static func registerDouble(_ registry: inout WorkflowRegistry, _ diary: Diary = Diary()) throws {
        try registry.register(Self.double) { number, _ in
            diary.note("double")
            return number * 2
        }
    }

    @Test(
        "has its parent's id and the call's number as its id; its result is recorded with its id",
        arguments: [false, true]
    )
    func result(onQueue: Bool) async throws {
        let diary = Diary()
        try await withWorkflow(queues: [Queue("q")], register: { try Self.registerDouble(&$0, diary) }) {
            (number: Int, context) async throws -> Int in
            try await context.step("before") { _ in }
            let child = try await context.start(Self.double, number, on: onQueue ? "q" : nil)
            return try await context.result(of: child)
        } test: { scenario in
            let live = try await scenario.run(21)
            #expect(live == 42)
            let steps = try await scenario.client.steps(of: "w")
            #expect(steps.map(\.name) == ["before", "double", "DBOS.getResult"])
            #expect(steps.map(\.childID) == [nil, "w-2", "w-2"])
            #expect(steps[1].output == nil)
            #expect(steps[1].serialization == nil)
            #expect(steps[2].output == "42")
            let child = try await scenario.client.workflow("w-2")
            #expect(child.parentID == "w")
            #expect(child.queue == (onQueue ? "q" : nil))
            // The record suffices: the child need not be there any more.
            try await scenario.database.query("DELETE FROM {s}.workflow_status WHERE workflow_uuid = 'w-2'")
            let replayed = try await scenario.replay()
            #expect(replayed == 42)
            #expect(diary.events == ["double"])
        }
    }

    @Test("that is started and awaited in one call takes two numbers")
    func run() async throws {
        struct Double: Workflow {
            static let name: WorkflowName = "double"
            func run(_ input: Int, context: WorkflowContext) async throws -> Int { input * 2 }
        }
        try await withWorkflow(register: { try $0.register(Double()) }) { (number: Int, context) async throws -> Int in
            let doubled = try await context.run(Double.self, number)
            return try await context.run(Double.self, doubled)
        } test: { scenario in
            let result = try await scenario.run(1)
            #expect(result == 4)
            let steps = try await scenario.client.steps(of: "w")
            #expect(steps.map(\.name) == ["double", "DBOS.getResult", "double", "DBOS.getResult"])
            #expect(steps.map(\.childID) == ["w-1", "w-1", "w-3", "w-3"])
        }
    }

    @Test("with a fixed id has that id; started twice it is one child with two records")
    func fixedID() async throws {
        let diary = Diary()
        try await withWorkflow(register: { try Self.registerDouble(&$0, diary) }) {
            (number: Int, context) async throws -> [Int] in
            let first = try await context.start(Self.double, number, options: .init(id: "fixed"))
            let second = try await context.start(Self.double, number + 1, options: .init(id: "fixed"))
            return [try await context.result(of: first), try await context.result(of: second)]
        } test: { scenario in
            let live = try await scenario.run(5)
            #expect(live == [10, 10], "the input of the first start counts")
            #expect(diary.events == ["double"])
            let replayed = try await scenario.replay()
            #expect(replayed == live)
            #expect(diary.events == ["double"])
        }
    }

    @Test("whose id belongs to another workflow is refused, and nothing is recorded of the start")
    func conflictingID() async throws {
        try await withWorkflow(register: { try Self.registerDouble(&$0) }) {
            (number: Int, context) async throws -> Int in
            let child = try await context.start(Self.double, number, options: .init(id: "w"))
            return try await context.result(of: child)
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(5) }
            #expect(text.contains("ConflictingWorkflow: id 'w' belongs to workflow 'w' already"))
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("is started once when the parent crashed after the start")
    func replayedStart() async throws {
        let diary = Diary()
        try await withWorkflow(queues: [Queue("q")], register: { try Self.registerDouble(&$0, diary) }) {
            (number: Int, context) async throws -> Int in
            let child = try await context.start(Self.double, number, on: "q")
            return try await context.result(of: child)
        } test: { scenario in
            _ = try await scenario.run(1)
            let replayed = try await scenario.replay(keeping: 1)
            #expect(replayed == 2)
            let again = try await scenario.replay(keeping: 0)
            #expect(again == 2)
            #expect(diary.events == ["double"])
        }
    }

    @Test("inherits its parent's deadline, started directly or enqueued, unless it has a time-out of its own")
    func deadline() async throws {
        try await withWorkflow(register: { try Self.registerDouble(&$0) }) {
            (_: Nothing, context) async throws -> Nothing in
            _ = try await context.start(Self.double, 1, options: .init(id: "direct"))
            _ = try await context.start(Self.double, 1, on: "nobody", options: .init(id: "queued"))
            _ = try await context.start(
                Self.double,
                1,
                on: "nobody",
                options: .init(id: "own", timeout: .seconds(5))
            )
            return Nothing()
        } test: { scenario in
            _ = try await scenario.start(Nothing(), timeout: .seconds(3600)).result()
            let deadline = try #require(try await scenario.client.workflow("w").deadline)
            let direct = try await scenario.client.workflow("direct")
            #expect(direct.deadline == deadline)
            #expect(direct.timeout == nil)
            let queued = try await scenario.client.workflow("queued").deadline
            #expect(queued == deadline)
            let own = try await scenario.client.workflow("own")
            #expect(own.deadline == nil)
            #expect(own.timeout == .seconds(5))
        }
    }

    @Test("on a queue nobody listens to keeps its parent waiting, which can be cancelled")
    func nobodyListens() async throws {
        let diary = Diary()
        try await withWorkflow(register: { try Self.registerDouble(&$0) }) {
            (_: Nothing, context) async throws -> Int in
            defer { diary.note("ended") }
            let child = try await context.start(Self.double, 1, on: "nobody")
            return try await context.result(of: child)
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await scenario.database.until("w-1", is: .enqueued)
            try await handle.cancel()
            try await diary.until("ended")
            let text = await failure { _ = try await handle.result() }
            #expect(text == "workflow 'w' was cancelled")
            let child = try await scenario.database.status(of: "w-1")
            #expect(child == "ENQUEUED")
        }
    }

    @Test("of a parent that was cancelled just before the start gets no row")
    func cancelledBefore() async throws {
        let diary = Diary()
        try await TestDatabase.with { database in
            let workflow = WorkflowReference<Nothing, Nothing>("w")
            try await withExecutor(database) { registry in
                try Self.registerDouble(&registry)
                try registry.register(workflow) { _, context in
                    // By SQL, so that this executor has had no chance to notice.
                    try await database.query(
                        "UPDATE {s}.workflow_status SET status = 'CANCELLED', owner_xid = NULL WHERE workflow_uuid = 'w'"
                    )
                    defer { diary.note("ended") }
                    do { _ = try await context.start(Self.double, 1) } catch { diary.note("\(error)") }
                    return Nothing()
                }
            } _: { executor in
                _ = try await executor.client.start(workflow, Nothing(), options: .init(id: "w"))
                try await diary.until("ended")
                let rows = try await database.count("SELECT count(*) FROM {s}.workflow_status")
                #expect(rows == 1)
                #expect(diary.events.first == "workflow 'w' was interrupted: another executor owns it now")
            }
        }
    }

    @Test(
        "with an impossible option is refused",
        arguments: [
            ChildOptions(id: " "), ChildOptions(priority: 1), ChildOptions(delay: .seconds(1)),
            ChildOptions(timeout: .zero),
        ]
    )
    func impossible(options: ChildOptions) async throws {
        try await withWorkflow(register: { try Self.registerDouble(&$0) }) {
            (_: Nothing, context) async throws -> Nothing in
            _ = try await context.start(Self.double, 1, options: options)
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text.contains("InvalidArgument: "))
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 1)
        }
    }

    @Test("whose end the database does not tell for a while, because it refuses the question, fails no parent")
    func refusedQuestion() async throws {
        let parent = WorkflowReference<Nothing, Int>("parent")
        let diary = Diary()
        let door = Door()
        let log = LogBook()
        defer { door.open() }
        try await TestDatabase.with { database in
            try await withExecutor(database, logger: log.logger) {
                try $0.register(Self.double) { number, _ in
                    diary.note("begun")
                    try await door.pass()
                    return number * 2
                }
                try $0.register(parent) { _, context in
                    try await context.result(of: try await context.start(Self.double, 1))
                }
            } _: { executor in
                let handle = try await executor.client.start(parent, Nothing(), options: .init(id: "p"))
                try await diary.until("begun")
                let table = database.text("{s}.workflow_status")
                try await database.query("ALTER TABLE \(table) RENAME COLUMN serialization TO hidden")
                let result: Result<Void, any Error>
                do {
                    try await until("a question was refused") {
                        if try await database.status(of: "p") != "PENDING" { return true }
                        return log.lines.contains { $0.message.contains("cannot ask for results") }
                    }
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                try await database.query("ALTER TABLE \(table) RENAME COLUMN hidden TO serialization")
                try result.get()
                door.open()
                #expect(try await handle.result() == 2)
            }
        }
    }
}
