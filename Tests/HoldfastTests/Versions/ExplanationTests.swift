// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Synchronization
import Testing

@Suite("Why a workflow waits", .timeLimit(.minutes(5)))
struct ExplanationTests {
    static let blocked = WorkflowReference<Nothing, Nothing>("blocked")

    @Test("is said in one sentence with the blocking fact")
    func reasons() async throws {
        try await TestDatabase.with { database in
            let queues = [Queue("one", workerConcurrency: 1)]
            try await withExecutor(
                database,
                version: "v1",
                id: "runner",
                queues: queues,
                configure: { $0.queueSelection = .only("one") }
            ) { registry in
                try registry.register(Self.blocked) { _, context in
                    try await context.sleep(for: .seconds(3600))
                    return Nothing()
                }
            } _: { executor in
                let client = executor.client
                func enqueue(
                    _ id: WorkflowID,
                    _ name: WorkflowName = "blocked",
                    on queue: QueueName = "one",
                    delay: Duration? = nil,
                    version: String? = nil
                ) async throws {
                    _ = try await client.enqueue(
                        WorkflowReference<Nothing, Nothing>(name),
                        Nothing(),
                        on: queue,
                        options: .init(id: id, delay: delay, applicationVersion: version)
                    )
                }
                try await enqueue("runs")
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 1)
                try await enqueue("limited")
                try await enqueue("later", delay: .seconds(100))
                try await enqueue("unknown", "nobody-knows")
                try await enqueue("unheard", on: "silent")
                try await enqueue("unlisted", on: "unlisted")
                try await enqueue("old", version: "v0")
                try await database.query(
                    """
                    INSERT INTO {s}.queues (name, priority_enabled, partition_queue, polling_interval_sec)
                    VALUES ('silent', TRUE, FALSE, 1)
                    """
                )
                let expected: [(WorkflowID, String, String)] = [
                    ("runs", "running", "'runner'"), ("limited", "queue_limit", "'one'"), ("later", "delayed", "s"),
                    ("unknown", "workflow_not_registered", "'nobody-knows'"),
                    ("unheard", "nobody_listens", "'silent'"), ("unlisted", "queue_not_registered", "'unlisted'"),
                    ("old", "no_executor_of_version", "'v0'"),
                ]
                for (id, reason, culprit) in expected {
                    let explanation = try await client.explain(id)
                    #expect(explanation.reason == reason, "\(id): \(explanation.sentence)")
                    #expect(explanation.sentence.contains(culprit), "\(id): \(explanation.sentence)")
                }
                try await client.cancel("runs")
                #expect(try await client.explain("runs").reason == "settled")
                await #expect(throws: HoldfastError.self) { try await client.explain("none") }
            }
            try await withClient(database) { client in
                let explanation = try await client.explain("limited")
                #expect(explanation.reason == "no_executor")
            }
        }
    }
}
