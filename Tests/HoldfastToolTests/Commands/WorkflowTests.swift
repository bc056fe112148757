// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("holdfast workflow: what it shows", .timeLimit(.minutes(5))) struct WorkflowTests {
    /// One workflow that succeeded, one that failed, one that waits.
    private func withWorkflows(_ body: (ToolDatabase) async throws -> Void) async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor { executor in
                let greet = WorkflowReference<String, String>("greet")
                let refuse = WorkflowReference<String, String>("refuse")
                _ = try await executor.client.start(greet, "World", options: StartOptions(id: "good")).result()
                let refused = try await executor.client.enqueue(
                    refuse,
                    "Bob",
                    on: "work",
                    options: EnqueueOptions(id: "bad")
                )
                await #expect(throws: WorkflowFailure.self) { try await refused.result() }
            }
            try await database.enqueue("wait")
            try await body(database)
        }
    }

    @Test("list: a table, the newest first, and its document")
    func list() async throws {
        try await self.withWorkflows { database in
            let answer = try await database.run("workflow", "list")
            #expect(answer.status == 0)
            #expect(answer.complaint.isEmpty)
            #expect(
                answer.rows.first == ["ID", "STATUS", "CHANGED", "NAME", "QUEUE", "EXECUTOR", "VERSION", "CREATED"]
            )
            #expect(
                answer.rows.dropFirst().map { Array($0.prefix(2)) } == [
                    ["wait", "ENQUEUED"], ["bad", "ERROR"], ["good", "SUCCESS"],
                ]
            )
            #expect(!answer.output.contains("\t") && !answer.output.contains("\u{1B}"))

            let documents = try await database.run("workflow", "list", "--json").decoded([WorkflowDocument].self)
            #expect(documents.map(\.id) == ["wait", "bad", "good"])
            #expect(documents[1].executorId == "worker-1")
            #expect(documents[1].applicationVersion == "v1")
            #expect(documents[1].completedAt != nil)
            #expect(documents[0].queue == "work")
            #expect(documents[0].executorId == nil)
        }
    }

    private static let conditions: [([String], [String])] = [
        (["--status", "error"], ["bad"]), (["--status", "ERROR", "SUCCESS"], ["bad", "good"]),
        (["--status", "ERROR", "--status", "ENQUEUED"], ["wait", "bad"]), (["--name", "refuse"], ["bad"]),
        (["--queue", "work"], ["wait", "bad"]), (["--executor", "worker-1"], ["bad", "good"]),
        (["--version", "v1"], ["bad", "good"]), (["--version", "v9"], []), (["--id-prefix", "wa"], ["wait"]),
        (["--parent", "good"], []), (["--since", "1h"], ["wait", "bad", "good"]), (["--until", "1h"], []),
        (["--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z"], []), (["--limit", "1"], ["wait"]),
        (["--limit", "1", "--offset", "2"], ["good"]), (["--oldest-first"], ["good", "bad", "wait"]),
        (["--application", "test-app"], ["wait", "bad", "good"]), (["--application", "another"], []),
    ]

    @Test("list: every condition")
    func conditions() async throws {
        try await self.withWorkflows { database in
            for (options, ids) in Self.conditions {
                let answer = try await database.tool.run(["workflow", "list", "--json"] + options)
                #expect(try answer.decoded([WorkflowDocument].self).map(\.id) == ids, "\(options)")
                #expect(answer.complaint.isEmpty)
            }
        }
    }

    @Test("list: without rows there is a sentence and no table")
    func emptyList() async throws {
        try await ToolDatabase.with { database in
            let answer = try await database.run("workflow", "list")
            #expect(answer.status == 0)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint == "holdfast: there are no such workflows\n")
            let document = try await database.run("workflow", "list", "--json")
            #expect(document.status == 0)
            #expect(document.output == "[]\n")
            #expect(document.complaint.isEmpty)
        }
    }

    @Test("list: a full page says that there may be more, on the other stream")
    func fullPage() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("one", "two")
            let answer = try await database.run("workflow", "list", "--limit", "2")
            #expect(answer.status == 0)
            #expect(answer.rows.count == 3)
            #expect(answer.complaint.contains("--offset 2"))
        }
    }

    @Test("get: everything, with the payloads laid out")
    func get() async throws {
        try await self.withWorkflows { database in
            let good = try await database.run("workflow", "get", "good")
            #expect(good.status == 0)
            #expect(good.rows.first == ["ID", "good"])
            #expect(good.output.contains("\nStatus         SUCCESS\n"))
            #expect(good.output.contains("\nInput\n  {\n    \"positionalArgs\": [\n      \"World\"\n    ],"))
            #expect(good.output.hasSuffix("\nOutput\n  \"Hello, World!\"\n"))

            let answer = try await database.run("workflow", "get", "bad", "--json")
            let document = try answer.decoded(WorkflowDocument.self)
            #expect(document.status == "ERROR")
            let payloads = try answer.decoded(WorkflowPayloadsDocument.self)
            #expect(payloads.serialization == "portable_json")
            #expect(payloads.input?.positionalArgs == ["Bob"])
            #expect(payloads.output == nil)
            #expect(payloads.error?.name == "Refused")
            #expect(payloads.error?.message == "no Bob here")
            #expect(payloads.takeovers.isEmpty)
        }
    }

    @Test("why: one sentence, and its document with the reason")
    func why() async throws {
        try await self.withWorkflows { database in
            let waiting = try await database.run("workflow", "why", "wait")
            #expect(waiting.status == 0)
            #expect(waiting.output == "no executor of application 'test-app' is alive; start one\n")
            #expect(waiting.complaint.isEmpty)
            #expect(try await database.run("workflow", "why", "good").output == "it does not wait: it is SUCCESS\n")

            let answer = try await database.run("workflow", "why", "wait", "--json")
            let document = try answer.decoded(ExplanationDocument.self)
            #expect([document.workflowId, document.reason] == ["wait", "no_executor"])
            #expect(document.sentence + "\n" == waiting.output)
        }
    }

    @Test("steps: in order, with results and errors")
    func steps() async throws {
        try await self.withWorkflows { database in
            let good = try await database.run("workflow", "steps", "good")
            #expect(good.status == 0)
            #expect(good.rows.first == ["STEP", "NAME", "STARTED", "TOOK", "CHILD", "RESULT"])
            #expect(good.rows.dropFirst().map { Array($0.prefix(2)) } == [["1", "salutation"], ["2", "join"]])
            #expect(good.output.contains("\"Hello, World!\""))

            let steps = try await database.run("workflow", "steps", "good", "--json").decoded([StepDocument].self)
            #expect(steps.map(\.step) == [1, 2])
            #expect(steps.map(\.output) == ["Hello", "Hello, World!"])

            #expect(try await database.run("workflow", "steps", "bad").output.contains(" error: {\"name\":\"Refused\""))
            let failed = try await database.run("workflow", "steps", "bad", "--json").decoded([StepDocument].self)
            #expect(failed.map(\.error?.message) == ["no Bob here"])

            let none = try await database.run("workflow", "steps", "wait")
            #expect(none.status == 0)
            #expect(none.output.isEmpty)
            #expect(none.complaint == "holdfast: workflow 'wait' has not recorded any step\n")
            #expect(try await database.run("workflow", "steps", "wait", "--json").output == "[]\n")
        }
    }

    @Test("history: who lost it to whom, also in get")
    func history() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("one", "two")
            try await database.query(
                """
                INSERT INTO {h}.takeovers (workflow_uuid, from_executor_id, from_incarnation, by_executor_id,
                                           by_incarnation, application_version, reason, strikes, decision)
                VALUES ('one', 'worker-1', 'a', 'worker-2', 'b', 'v1', 'session_lost', 2, 'delayed')
                """
            )
            let answer = try await database.run("workflow", "history", "one")
            #expect(answer.status == 0)
            #expect(answer.rows.first == ["AT", "AGE", "FROM", "BY", "VERSION", "REASON", "STRIKES", "DECISION"])
            #expect(answer.rows.last?.suffix(6) == ["worker-1", "worker-2", "v1", "session_lost", "2", "delayed"])
            let whole = try await database.run("workflow", "get", "one")
            #expect(whole.output.contains("\nTakeovers\n"))
            #expect(whole.rows.last?.suffix(6) == answer.rows.last?.suffix(6))

            for takeovers in [
                try await database.run("workflow", "history", "one", "--json").decoded([TakeoverDocument].self),
                try await database.run("workflow", "get", "one", "--json").decoded(WorkflowPayloadsDocument.self)
                    .takeovers,
            ] {
                #expect(takeovers.map(\.from) == ["worker-1"])
                #expect(takeovers.map(\.by) == ["worker-2"])
                #expect(takeovers.map(\.reason) == ["session_lost"])
                #expect(takeovers.map(\.applicationVersion) == ["v1"])
                #expect(takeovers.map(\.strikes) == [2])
                #expect(takeovers.map(\.decision) == ["delayed"])
            }
            let none = try await database.run("workflow", "history", "two")
            #expect(none.status == 0)
            #expect(none.complaint == "holdfast: workflow 'two' has never been taken over\n")
            #expect(try await database.run("workflow", "history", "two", "--json").output == "[]\n")
        }
    }

    @Test("an unknown id is told from one without steps or takeovers", arguments: ["get", "why", "steps", "history"])
    func unknown(_ command: String) async throws {
        try await ToolDatabase.with { database in
            for options in [[], ["--json"]] {
                let answer = try await database.tool.run(["workflow", command, "nobody"] + options)
                #expect(answer.status == 3)
                #expect(answer.output.isEmpty)
                #expect(answer.complaint == "holdfast: no workflow has the id 'nobody'\n")
            }
        }
    }
}
