// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("The order and the limits of a queue", .timeLimit(.minutes(5)))
struct QueueOrderTests {
    /// Enqueues while nobody listens, then lets an executor work it off one at a time.
    private static func order(
        enqueuing enqueue: @Sendable (HoldfastClient, WorkflowReference<String, Nothing>) async throws -> Void,
        before: @Sendable (TestDatabase) async throws -> Void = { _ in }
    ) async throws -> [String] {
        let diary = Diary()
        let workflow = WorkflowReference<String, Nothing>("w")
        return try await TestDatabase.with { database in
            // The first executor makes the tables.
            try await withExecutor(database, register: { _ in }, { _ in })
            try await withClient(database) { client in try await enqueue(client, workflow) }
            try await before(database)
            return try await withExecutor(database, queues: [Queue("q", workerConcurrency: 1)]) { registry in
                try registry.register(workflow) { name, _ in
                    diary.note(name)
                    return Nothing()
                }
            } _: { _ in
                try await database.until("SELECT count(*) FROM {s}.workflow_status WHERE status <> 'SUCCESS'", is: 0)
                return diary.events
            }
        }
    }

    @Test("is by priority first, 0 before 1")
    func priority() async throws {
        let order = try await Self.order { client, workflow in
            for priority in [5, 1, 0, 2_147_483_647, 3] {
                _ = try await client.enqueue(workflow, "\(priority)", on: "q", options: .init(priority: priority))
            }
        }
        #expect(order == ["0", "1", "3", "5", "2147483647"])
    }

    @Test("is by age within a priority")
    func age() async throws {
        let order = try await Self.order { client, workflow in
            for index in 0..<6 {
                _ = try await client.enqueue(workflow, "\(index)", on: "q", options: .init(id: "\(index)", priority: 2))
            }
        } before: { database in
            // Milliseconds apart, in another order than that of the ids.
            try await database.query(
                "UPDATE {s}.workflow_status SET created_at = 1700000000000 - workflow_uuid::int"
            )
        }
        #expect(order == ["5", "4", "3", "2", "1", "0"])
    }

    @Test("never lets more run at once than a worker may, nor than the executor may")
    func concurrency() async throws {
        let gauges = ["a": Gauge(), "b": Gauge()]
        let all = Gauge()
        try await withWorkflow(
            queues: [Queue("a", workerConcurrency: 2), Queue("b", workerConcurrency: 3)],
            configure: { $0.maxConcurrentWorkflows = 4 }
        ) { (queue: String, context) async throws -> Nothing in
            await all.counted {
                await gauges[queue]?.counted { try? await Task.sleep(for: .milliseconds(5)) }
            }
            return Nothing()
        } test: { scenario in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<60 {
                    let queue = index % 2 == 0 ? "a" : "b"
                    group.addTask { _ = try await scenario.enqueue(queue, on: QueueName(queue)).result() }
                }
                try await group.waitForAll()
            }
            #expect(gauges["a"]?.most ?? 0 <= 2)
            #expect(gauges["b"]?.most ?? 0 <= 3)
            #expect(all.most <= 4)
        }
    }

    @Test("does not starve a quiet queue beside a busy one")
    func fairness() async throws {
        let diary = Diary()
        try await withWorkflow(
            queues: [Queue("busy"), Queue("quiet")],
            configure: { $0.maxConcurrentWorkflows = 4 }
        ) { (queue: String, _) async throws -> Nothing in
            diary.note(queue)
            try await Task.sleep(for: .milliseconds(10))
            return Nothing()
        } test: { scenario in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 { group.addTask { _ = try await scenario.enqueue("busy", on: "busy") } }
                try await group.waitForAll()
            }
            try await diary.until("busy", happened: 8)
            _ = try await scenario.enqueue("quiet", on: "quiet").result()
            // Some 50 ms after it was enqueued, when all of the busy queue takes 500 ms.
            #expect(diary.count("busy") < 190)
        }
    }

    @Test("of unregistered queues is nobody's business: work waits there")
    func unregistered() async throws {
        try await withWorkflow(queues: [Queue("q")]) { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let waiting = try await scenario.enqueue(Nothing(), on: "nobody")
            _ = try await scenario.enqueue(Nothing(), on: "q").result()
            let status = try await waiting.status()
            #expect(status == .enqueued)
            let queues = try await scenario.client.queues()
            #expect(queues.map(\.name) == ["nobody", "q"])
            #expect(queues.map(\.isRegistered) == [false, true])
            #expect(queues.first?.enqueued == 1)
        }
    }

    @Test("concerns only the queues that an executor is told to serve, and the internal one")
    func selection() async throws {
        try await withWorkflow(
            queues: [Queue("served"), Queue("left")],
            configure: { $0.queueSelection = .only("served") }
        ) { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let left = try await scenario.enqueue(Nothing(), on: "left", .init(id: "left"))
            _ = try await scenario.enqueue(Nothing(), on: "served").result()
            let status = try await left.status()
            #expect(status == .enqueued)
            try await scenario.client.resume(["left"])
            _ = try await left.result()
        }
    }

    @Test("keeps a workflow that nobody knows waiting")
    func unknownName() async throws {
        let unknown = WorkflowReference<Nothing, Nothing>("unknown")
        try await withWorkflow(queues: [Queue("q")]) { (_: Nothing, _) async throws -> Nothing in
            Nothing()
        } test: { scenario in
            let queued = try await scenario.client.enqueue(unknown, Nothing(), on: "q")
            let direct = try await scenario.client.start(unknown, Nothing())
            _ = try await scenario.enqueue(Nothing(), on: "q").result()
            for handle in [queued, direct] {
                let snapshot = try await scenario.client.workflow(handle.id)
                #expect(snapshot.status == .enqueued)
                #expect(snapshot.recoveryAttempts == 0)
            }
        }
    }
}
