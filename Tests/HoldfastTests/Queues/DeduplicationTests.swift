// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("Deduplication on a queue", .timeLimit(.minutes(5)))
struct DeduplicationTests {
    private static func withWaiting(
        _ test: @escaping @Sendable (Scenario<Int, Int>, Diary, Door) async throws -> Void
    ) async throws {
        let diary = Diary()
        let door = Door()
        try await withWorkflow(queues: [Queue("q")]) { (number: Int, _) async throws -> Int in
            diary.note("begun")
            try await door.pass()
            return number
        } test: { scenario in
            try await test(scenario, diary, door)
        }
    }

    @Test("rejects a second workflow while the first waits or runs, and no longer")
    func rejecting() async throws {
        try await Self.withWaiting { scenario, diary, door in
            let options = EnqueueOptions(deduplication: .rejecting(key: "k"))
            let first = try await scenario.enqueue(1, options)
            let waiting = try await code { _ = try await scenario.enqueue(2, options) }
            #expect(waiting == .queueDeduplicated)
            try await diary.until("begun")
            let running = await failure { _ = try await scenario.enqueue(2, options) }
            #expect(running.contains("another active workflow on queue 'q' has the deduplication key 'k'"))
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_input")
            #expect(rows == 1)
            door.open()
            _ = try await first.result()
            let second = try await scenario.enqueue(2, options).result()
            #expect(second == 2)
        }
    }

    @Test("returns the workflow that is there, and drops the arguments")
    func returningExisting() async throws {
        try await Self.withWaiting { scenario, _, door in
            let options = EnqueueOptions(deduplication: .returningExisting(key: "k"))
            let first = try await scenario.enqueue(1, options)
            let second = try await scenario.enqueue(2, options)
            #expect(second.id == first.id)
            door.open()
            let result = try await second.result()
            #expect(result == 1)
            let third = try await scenario.enqueue(3, options).result()
            #expect(third == 3)
        }
    }

    @Test("is per queue, and a cancelled workflow holds no key")
    func scope() async throws {
        try await Self.withWaiting { scenario, _, _ in
            let options = EnqueueOptions(deduplication: .rejecting(key: "k"))
            let first = try await scenario.enqueue(1, on: "one", options)
            _ = try await scenario.enqueue(1, on: "two", options)
            try await first.cancel()
            _ = try await scenario.enqueue(1, on: "one", options)
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 3)
        }
    }

    @Test("of the same id is no collision: the existing workflow counts")
    func sameID() async throws {
        try await Self.withWaiting { scenario, _, _ in
            let options = EnqueueOptions(id: "w", deduplication: .rejecting(key: "k"))
            let first = try await scenario.enqueue(1, on: "nobody", options)
            let second = try await scenario.enqueue(1, on: "nobody", options)
            #expect(first.id == second.id)
        }
    }

    @Test("fails only those of many concurrent enqueues that violate it")
    func batch() async throws {
        try await Self.withWaiting { scenario, _, _ in
            _ = try await scenario.enqueue(0, on: "nobody", .init(deduplication: .rejecting(key: "taken")))
            let outcomes = try await withThrowingTaskGroup(of: (Int, HoldfastError.Code?).self) { group in
                for index in 0..<60 {
                    group.addTask {
                        let key = index % 6 == 0 ? "taken" : "k\(index)"
                        do {
                            _ = try await scenario.enqueue(
                                index,
                                on: "nobody",
                                .init(deduplication: .rejecting(key: key))
                            )
                            return (index, nil)
                        } catch let error as HoldfastError { return (index, error.code) }
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            #expect(outcomes.count == 10)
            #expect(outcomes.allSatisfy { $0.key % 6 == 0 && $0.value == .queueDeduplicated })
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 51)
        }
    }

    @Test("by many at once for one key lets one through", arguments: [true, false])
    func race(rejects: Bool) async throws {
        try await Self.withWaiting { scenario, diary, door in
            let ids = try await withThrowingTaskGroup(of: WorkflowID?.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        let deduplication: Deduplication =
                            rejects ? .rejecting(key: "k") : .returningExisting(key: "k")
                        do {
                            return try await scenario.enqueue(index, .init(deduplication: deduplication)).id
                        } catch let error as HoldfastError where error.code == .queueDeduplicated { return nil }
                    }
                }
                return try await group.reduce(into: [WorkflowID?]()) { $0.append($1) }.compactMap(\.self)
            }
            #expect(Set(ids).count == 1)
            #expect(ids.count == (rejects ? 1 : 20))
            door.open()
            let id = try #require(ids.first)
            _ = try await scenario.client.retrieve(id, as: Int.self).result()
            #expect(diary.events == ["begun"])
        }
    }
}
