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
                let shared: [(queue: String, column: String, limit: String)] = [
                    ("global", "concurrency", "at most 7 running in the whole fleet"),
                    ("rate", "rate_limit_max", "at most 7 starts in 0 ms"),
                    ("parted", "partition_concurrency", "at most 7 running of each partition"),
                    ("parted-rate", "partition_rate_limit_max", "at most 7 starts of each partition"),
                ]
                for (queue, column, _) in shared {
                    try await enqueue(WorkflowID(queue), on: "one")
                    try await database.query(
                        """
                        INSERT INTO {s}.queues (name, priority_enabled, partition_queue, polling_interval_sec, \(column))
                        VALUES ('\(queue)', TRUE, FALSE, 1, 7)
                        """
                    )
                    try await database.query(
                        "UPDATE {s}.workflow_status SET queue_name = '\(queue)' WHERE workflow_uuid = '\(queue)'"
                    )
                }
                // The executor claims from every queue now.
                try await database.query("UPDATE {h}.executors SET queues = NULL")
                for (queue, _, limit) in shared {
                    let explanation = try await client.explain(WorkflowID(queue))
                    #expect(explanation.reason == "shared_limits", "\(queue): \(explanation.sentence)")
                    #expect(explanation.sentence.contains("queue '\(queue)'"))
                    #expect(explanation.sentence.contains(limit), "\(queue): \(explanation.sentence)")
                }
                try await database.query("UPDATE {h}.executors SET queues = '{one}'")
                let later = try await client.explain("later").sentence
                #expect(later.contains(/^it was delayed and may begin in (9\d|100) s$/), "\(later)")
                let runs = try await client.explain("runs").sentence
                #expect(
                    runs.contains(
                        /it sleeps until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, (59|60) min more; executor 'runner' runs it; its heartbeat/
                    ),
                    "\(runs)"
                )
                let expected: [(WorkflowID, String, String)] = [
                    ("runs", "sleeping", "'runner'"), ("limited", "queue_limit", "'one'"),
                    ("later", "delayed", "it was delayed and may begin in "),
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
                // Due, and nobody is there to notice.
                #expect(try await client.explain("later").reason == "delayed")
                try await database.query("UPDATE {s}.workflow_status SET delay_until_epoch_ms = 1")
                #expect(
                    try await client.explain("later").sentence
                        == "no executor of application 'test-app' is alive; start one"
                )
            }
        }
    }

    @Test("of a parent names the first child that is open")
    func parent() async throws {
        try await TestDatabase.with { database in
            let parent = WorkflowReference<Nothing, Nothing>("parent")
            try await withExecutor(database, id: "runner", queues: [Queue("one")]) { registry in
                try registry.register(parent) { _, context in
                    var children: [ChildHandle<Nothing>] = []
                    for id in ["a", "b", "c"] as [WorkflowID] {
                        children.append(
                            try await context.start(Self.blocked, Nothing(), on: "nobody", options: .init(id: id))
                        )
                    }
                    for child in children { _ = try await context.result(of: child) }
                    return Nothing()
                }
            } _: { executor in
                let client = executor.client
                _ = try await client.start(parent, Nothing(), options: .init(id: "p"))
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 3)
                var explanation = try await client.explain("p")
                #expect(explanation.reason == "awaiting_child")
                #expect(
                    explanation.sentence.hasPrefix(
                        "it has started child 'a', which is ENQUEUED, and 2 more that are open; ask why that one waits; executor 'runner'"
                    )
                )
                #expect(try await client.explain("a").reason == "workflow_not_registered")
                try await database.query(
                    """
                    UPDATE {s}.workflow_status SET status = 'SUCCESS', completed_at = 1 WHERE workflow_uuid IN ('a', 'b')
                    """
                )
                explanation = try await client.explain("p")
                #expect(explanation.sentence.hasPrefix("it has started child 'c', which is ENQUEUED; ask why"))
            }
        }
    }

    @Test("without an application is that only old versions live, as for stranded work")
    func nobodysWork() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, version: "v1", queues: [Queue("work")]) { registry in
                try registry.register(Self.blocked) { _, _ in Nothing() }
            } _: { executor in
                try await withExecutor(database, version: "v2", register: { _ in }) { _ in }
                try await database.query("SELECT {s}.enqueue_workflow('blocked', 'work', workflow_id => 'free')")
                let explanation = try await executor.client.explain("free")
                #expect(
                    explanation.sentence
                        == "it belongs to the latest version, 'v2', of which no executor is alive; start one, or make another latest"
                )
                #expect(explanation.reason == "no_executor_of_latest_version")
                try await executor.client.makeLatest("v1")
                try await database.until("SELECT count(*) FROM {s}.workflow_status WHERE status = 'SUCCESS'", is: 1)
            }
        }
    }
}
