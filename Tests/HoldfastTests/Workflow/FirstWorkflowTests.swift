// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Synchronization
import Testing

@Suite("A workflow from start to outcome", .timeLimit(.minutes(5)))
struct FirstWorkflowTests {
    static let greet = WorkflowReference<String, String>("greet")

    @Test("started directly, it runs its steps once and records them")
    func direct() async throws {
        try await TestDatabase.with { database in
            let effects = Mutex(0)
            try await withExecutor(database) { registry in
                try registry.register(Self.greet) { name, context in
                    let salutation = try await context.step("salutation") { _ in
                        "Hello"
                    }
                    return try await context.step("join") { step in "\(salutation), \(name)! (\(step.id))" }
                }
            } _: { executor in
                let handle = try await executor.client.start(Self.greet, "World")
                #expect(try await handle.result() == "Hello, World! (2)")
                let steps = try await executor.client.steps(of: handle.id)
                #expect(steps.map(\.name) == ["salutation", "join"])
            }
            effects.withLock { $0 += 1 }
        }
    }

    @Test("put on a queue, it is claimed and finished")
    func queued() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, queues: [Queue("q")]) { registry in
                try registry.register(Self.greet) { name, _ in "Hello, \(name)" }
            } _: { executor in
                let handles = try await withThrowingTaskGroup(of: WorkflowHandle<String>.self) { group in
                    for index in 0..<100 {
                        group.addTask { try await executor.client.enqueue(Self.greet, "\(index)", on: "q") }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                for handle in handles { #expect(try await handle.result().hasPrefix("Hello")) }
            }
            #expect(
                try await database.count("SELECT count(*) FROM {s}.workflow_status WHERE status = 'SUCCESS'") == 100
            )
        }
    }
}
