// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("The id of a workflow", .timeLimit(.minutes(5)))
struct IdempotencyTests {
    /// Starts the same id from ten tasks at once, over the given clients in turn, and returns what they got.
    private static func storm(
        _ clients: [HoldfastClient],
        on queue: QueueName?
    ) async throws -> [Int] {
        let workflow = WorkflowReference<Int, Int>("w")
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<10 {
                let client = clients[index % clients.count]
                group.addTask {
                    let handle =
                        if let queue {
                            try await client.enqueue(workflow, index, on: queue, options: .init(id: "same"))
                        } else {
                            try await client.start(workflow, index, options: .init(id: "same"))
                        }
                    return try await handle.result()
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test(
        "started ten times at once is one row, one run and one result for all",
        arguments: [nil, "q"] as [QueueName?]
    )
    func once(queue: QueueName?) async throws {
        let diary = Diary()
        try await withWorkflow(queues: [Queue("q")]) { (number: Int, _) async throws -> Int in
            diary.note("ran")
            return number
        } test: { scenario in
            let results = try await Self.storm([scenario.client], on: queue)
            #expect(results.count == 10)
            #expect(Set(results).count == 1)
            #expect(diary.events == ["ran"])
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 1)
        }
    }

    @Test("started from two executors at once likewise", arguments: [nil, "q"] as [QueueName?])
    func twoExecutors(queue: QueueName?) async throws {
        let diary = Diary()
        @Sendable func register(_ registry: inout WorkflowRegistry) throws {
            try registry.register(WorkflowReference<Int, Int>("w")) { number, _ in
                diary.note("ran")
                return number
            }
        }
        try await TestDatabase.with { database in
            try await withExecutor(database, queues: [Queue("q")], register: register) { first in
                try await withExecutor(database, queues: [Queue("q")], register: register) { second in
                    let results = try await Self.storm([first.client, second.client], on: queue)
                    #expect(results.count == 10)
                    #expect(Set(results).count == 1)
                    #expect(diary.events == ["ran"])
                }
            }
        }
    }

    @Test("of a finished workflow gives its result without another run")
    func finished() async throws {
        let diary = Diary()
        try await withWorkflow { (number: Int, _) async throws -> Int in
            diary.note("ran")
            return number
        } test: { scenario in
            _ = try await scenario.run(1)
            let again = try await scenario.run(2)
            #expect(again == 1)
            #expect(diary.events == ["ran"])
        }
    }

    @Test("used for another workflow is a conflict, and the input is not written")
    func conflict() async throws {
        let other = WorkflowReference<Int, Int>("other")
        try await withWorkflow(register: { try $0.register(other) { number, _ in number } }) {
            (number: Int, _) async throws -> Int in
            number
        } test: { scenario in
            _ = try await scenario.run(1)
            let direct = try await code {
                _ = try await scenario.client.start(other, 2, options: .init(id: "w"))
            }
            #expect(direct == .conflictingWorkflow)
            let queued = try await code {
                _ = try await scenario.client.enqueue(other, 2, on: "q", options: .init(id: "w"))
            }
            #expect(queued == .conflictingWorkflow)
            let input = try await scenario.client.workflow("w").input
            #expect(input == #"{"positionalArgs":[1],"namedArgs":{}}"#)
            let inputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_input")
            #expect(inputs == 1)
        }
    }

    @Test("that must be new is refused when it is in use, and the input is not written")
    func reject() async throws {
        try await withWorkflow { (number: Int, _) async throws -> Int in
            number
        } test: { scenario in
            let options = StartOptions(id: "w", reuse: .reject)
            let first = try await scenario.client.start(scenario.workflow, 1, options: options).result()
            #expect(first == 1)
            let text = await failure {
                _ = try await scenario.client.start(scenario.workflow, 2, options: options)
            }
            #expect(text == "WorkflowIDInUse: id 'w' belongs to a workflow 'w' that is SUCCESS")
            let second = try await code {
                _ = try await scenario.enqueue(3, .init(id: "w", reuse: .reject))
            }
            #expect(second == .workflowIDInUse)
            let inputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_input")
            #expect(inputs == 1)
        }
    }

    @Test("keeps its queue when it is enqueued on another")
    func otherQueue() async throws {
        try await withWorkflow { (number: Int, _) async throws -> Int in
            number
        } test: { scenario in
            _ = try await scenario.enqueue(1, on: "one", .init(id: "w"))
            _ = try await scenario.enqueue(1, on: "two", .init(id: "w"))
            let queue = try await scenario.client.workflow("w").queue
            #expect(queue == "one")
        }
    }

    @Test("is stored even when the task that starts it is cancelled: others may be committed with it")
    func cancelledTask() async throws {
        try await withWorkflow { (number: Int, _) async throws -> Int in
            number
        } test: { scenario in
            // A client of its own has no connection yet, and a cancelled task may not wait for one.
            try await withClient(scenario.database) { client in
                let enqueue = Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    return try await client.enqueue(scenario.workflow, 1, on: "nobody", options: .init(id: "w")).id
                }
                let id = try await enqueue.value
                #expect(id == "w")
            }
            let status = try await scenario.database.status(of: "w")
            #expect(status == "ENQUEUED")
        }
    }

    @Test("that nobody has used is an error to look up, to cancel and to resume")
    func unknown() async throws {
        try await withWorkflow { (number: Int, _) async throws -> Int in
            number
        } test: { scenario in
            let client = scenario.client
            let codes = [
                try await code { _ = try await client.workflow("x") },
                try await code { _ = try await client.steps(of: "x") },
                try await code { _ = try await client.retrieve("x", as: Int.self) },
                try await code { try await client.cancel("x") },
            ]
            #expect(Set(codes) == [.nonExistentWorkflow])
            let cancelled = try await client.cancel(["x", "y"])
            #expect(cancelled == [])
        }
    }
}
