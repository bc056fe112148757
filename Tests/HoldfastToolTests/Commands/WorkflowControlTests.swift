// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("holdfast workflow: what it changes", .timeLimit(.minutes(5))) struct WorkflowControlTests {
    private func status(_ id: WorkflowID, _ database: ToolDatabase) async throws -> WorkflowStatus {
        try await database.client.workflow(id).status
    }

    @Test("cancel and resume, there and back, and the workflow runs to its end")
    func roundTrip() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("one", "two")
            let cancelled = try await database.run("workflow", "cancel", "one", "two", "one")
            #expect(cancelled.status == 0)
            #expect(cancelled.complaint.isEmpty)
            #expect(
                cancelled.rows == [
                    ["ID", "RESULT", "STATUS"], ["one", "cancelled", "CANCELLED"], ["two", "cancelled", "CANCELLED"],
                ]
            )
            #expect(try await self.status("one", database) == .cancelled)
            // Again is no mistake.
            #expect(try await database.run("workflow", "cancel", "one").status == 0)

            let resumed = try await database.run("workflow", "resume", "one", "--queue", "work", "--json")
            #expect(resumed.status == 0)
            #expect(
                try resumed.decoded([ControlDocument].self) == [
                    ControlDocument(id: "one", outcome: "resumed", status: "ENQUEUED")
                ]
            )
            #expect(try await database.client.workflow("one").queue == "work")
            try await database.withExecutor { executor in
                let handle = try await executor.client.retrieve("one", as: String.self)
                #expect(try await handle.result() == "Hello, World!")
            }
            #expect(try await self.status("two", database) == .cancelled)
        }
    }

    @Test("finished workflows stay as they are, and that is said", arguments: ["cancel", "resume"])
    func finished(_ command: String) async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("done", "open")
            try await database.query("UPDATE {s}.workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'done'")
            let verb = command == "cancel" ? "cancelled" : "resumed"
            let none = try await database.run("workflow", command, "done")
            #expect(none.status == 6)
            #expect(none.complaint == "holdfast: nothing was \(verb): 'done' is finished (SUCCESS)\n")
            #expect(none.rows.last == ["done", "finished", "already", "SUCCESS"])

            let partial = try await database.run("workflow", command, "done", "open", "--json")
            #expect(partial.status == 6)
            #expect(partial.complaint == "holdfast: not all were \(verb): 'done' is finished (SUCCESS)\n")
            let lines = try partial.decoded([ControlDocument].self)
            #expect(lines.map(\.id) == ["done", "open"])
            #expect(lines.map(\.outcome) == ["finished", verb])
            #expect(try await self.status("done", database) == .success)
        }
    }

    @Test("cancel: unknown ids")
    func cancelUnknown() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("one")
            let unknown = try await database.run("workflow", "cancel", "nobody", "--json")
            #expect(unknown.status == 3)
            #expect(unknown.output.isEmpty)
            #expect(unknown.complaint == "holdfast: nothing was cancelled: no workflow has the id 'nobody'\n")
            let partial = try await database.run("workflow", "cancel", "one", "nobody")
            #expect(partial.status == 6)
            #expect(partial.rows.last == ["nobody", "not", "found", "-"])
        }
    }

    @Test("resume: an unknown id, and nothing is resumed")
    func resumeUnknown() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("one")
            try await database.client.cancel("one")
            let answer = try await database.run("workflow", "resume", "one", "nobody")
            #expect(answer.status == 3)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint.contains("'nobody'"))
            #expect(try await self.status("one", database) == .cancelled)
        }
    }

    @Test("cancel: children only when asked for")
    func children() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("parent", "child", "grandchild")
            for (child, parent) in [("child", "parent"), ("grandchild", "child")] {
                try await database.query(
                    "UPDATE {s}.workflow_status SET parent_workflow_id = '\(parent)' WHERE workflow_uuid = '\(child)'"
                )
            }
            #expect(try await database.run("workflow", "cancel", "parent").status == 0)
            #expect(try await self.status("child", database) == .enqueued)
            let all = try await database.run("workflow", "cancel", "parent", "--children", "--json")
            #expect(try all.decoded([ControlDocument].self).map(\.id) == ["parent", "child", "grandchild"])
            #expect(try await self.status("grandchild", database) == .cancelled)
        }
    }

    @Test("enqueue: an executor runs it, with the input as it was given")
    func enqueue() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor { executor in
                let answer = try await database.run(
                    "workflow",
                    "enqueue",
                    "greet",
                    "--queue",
                    "work",
                    "--input",
                    #""Ann""#,
                    "--application",
                    "test-app"
                )
                #expect(answer.status == 0)
                #expect(answer.complaint.isEmpty)
                let id = WorkflowID(String(answer.output.dropLast()))
                #expect(try await executor.client.retrieve(id, as: String.self).result() == "Hello, Ann!")
            }
            let input = #"{"z":1.0,"a":[12345678901234567890123,null,true]}"#
            let answer = try await database.run(
                "workflow",
                "enqueue",
                "other",
                "--queue",
                "work",
                "--input",
                " \(input) ",
                "--id",
                "mine",
                "--json"
            )
            let document = try answer.decoded(EnqueueDocument.self)
            #expect([document.id, document.name, document.queue] == ["mine", "other", "work"])
            let stored = try await database.client.workflow("mine").input
            #expect(stored == #"{"positionalArgs":[\#(input)],"namedArgs":{}}"#)
        }
    }

    @Test("enqueue: the same id again changes nothing")
    func enqueueAgain() async throws {
        try await ToolDatabase.with { database in
            let arguments = ["workflow", "enqueue", "greet", "--queue", "nowhere", "--input", "1", "--id", "mine"]
            let first = try await database.tool.run(arguments)
            #expect(first.status == 0)
            #expect(first.output == "mine\n")
            #expect(first.complaint.contains("no executor has registered queue 'nowhere'"))
            let second = try await database.tool.run(arguments)
            #expect(second.status == 6)
            #expect(second.output.isEmpty)
            #expect(second.complaint.contains("'mine'"))
        }
    }

    @Test("enqueue: input that is not JSON", arguments: ["", "World", "{", "{\"a\":1,}", "NaN", "'a'"])
    func enqueueNoJSON(_ input: String) async throws {
        try await ToolDatabase.with { database in
            let answer = try await database.run("workflow", "enqueue", "greet", "--queue", "work", "--input", input)
            #expect(answer.status == 64)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint.hasPrefix("holdfast: --input is not JSON: "))
        }
    }
}
