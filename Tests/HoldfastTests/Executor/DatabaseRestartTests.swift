// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import TestSupport
import Testing

@Suite("A Postgres that restarts under a running executor", .timeLimit(.minutes(5)))
struct DatabaseRestartTests {
    @Test("costs time and nothing else: all finish once, no step runs twice, nobody is declared dead")
    func restart() async throws {
        let diary = Diary()
        let workflow = WorkflowReference<Int, Int>("w")
        try await TemporaryPostgres.withServer { server in
            try await TestDatabase.with(url: server.string()) { database in
                try await withExecutor(database, queues: [Queue("q")]) { registry in
                    try registry.register(workflow) { number, context in
                        for index in 1...20 {
                            try await context.step("step") { step in
                                diary.note("\(number)-\(index)")
                                try await Task.sleep(for: .milliseconds(10))
                            }
                        }
                        let both = try await context.map([1, 2], step: "item") { item, _ in
                            diary.note("\(number)-item-\(item)")
                            return item
                        }
                        return number + both.reduce(0, +)
                    }
                } _: { executor in
                    var handles: [WorkflowHandle<Int>] = []
                    for number in 0..<20 {
                        handles.append(
                            number % 2 == 0
                                ? try await executor.client.start(workflow, number)
                                : try await executor.client.enqueue(workflow, number, on: "q")
                        )
                    }
                    try await diary.until("0-3")
                    try await server.restart()
                    for (number, handle) in handles.enumerated() {
                        let result = try await handle.result()
                        #expect(result == number + 3)
                    }
                    #expect(diary.events.count == 20 * 22)
                    #expect(Set(diary.events).count == diary.events.count, "a step ran twice")
                }
                let disturbed = try await database.count(
                    """
                    SELECT (SELECT count(*) FROM {h}.executors WHERE state <> 'stopped' OR end_reason <> 'shutdown')
                         + (SELECT count(*) FROM {h}.takeovers)
                         + (SELECT count(*) FROM {s}.workflow_status WHERE recovery_attempts <> 1)
                    """
                )
                #expect(disturbed == 0)
            }
        }
    }
}
