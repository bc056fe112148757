// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("holdfast version repin", .timeLimit(.minutes(5))) struct RepinTests {
    private static let words = ["version", "repin", "--from", "v1", "--to", "v2", "--application", "test-app"]

    @Test("a dry run names the step that differs and changes nothing")
    func divergence() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one")
            try await database.withExecutor(version: "v2", register: Versioned.code(["a", "x"])) { _ in
                let answer = try await database.tool.run(Self.words + ["--dry-run"])
                #expect(answer.status == 6)
                #expect(
                    answer.complaint
                        == "holdfast: nothing was changed: 1 of 1 workflow diverges from the code of version 'v2'\n"
                )
                #expect(answer.rows.first == ["ID", "RESULT", "STEP", "DETAIL"])
                #expect(answer.rows.last?.prefix(3) == ["one", "diverges", "2"])

                let document = try await database.tool.run(Self.words + ["--dry-run", "--json"])
                #expect(document.status == 6)
                let verdicts = try document.decoded([ReplayDocument].self)
                #expect(verdicts.map(\.workflowId) == ["one"])
                #expect(verdicts.map(\.compatible) == [false])
                #expect(verdicts.map(\.step) == [2])
                #expect(verdicts.allSatisfy { $0.detail?.contains("'x'") ?? false })
            }
            #expect(try await database.client.workflow("one").applicationVersion == "v1")
            // A version without the workflow: there is no step to name.
            try await database.withExecutor(version: "v2") { _ in
                let answer = try await database.tool.run(Self.words + ["--dry-run", "--json"])
                #expect(answer.status == 6)
                #expect(try answer.decoded([ReplayDocument].self).map(\.step) == [nil])
            }
        }
    }

    @Test("a dry run that finds nothing wrong; then the work moves and is finished")
    func move() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one", "two")
            try await database.withExecutor(version: "v2", register: Versioned.code(["a", "b", "c"])) { executor in
                let check = try await database.tool.run(Self.words + ["--dry-run", "--timeout", "30"])
                #expect(check.status == 0)
                #expect(check.complaint.isEmpty)
                #expect(
                    check.rows.dropFirst().map { Array($0.dropFirst()) }
                        == Array(repeating: ["compatible", "-", "-"], count: 2)
                )
                #expect(Set(check.rows.dropFirst().compactMap(\.first)) == ["one", "two"])

                let moved = try await database.tool.run(Self.words)
                #expect(moved.status == 0)
                #expect(moved.complaint.isEmpty)
                #expect(moved.rows == [["FROM", "TO", "MOVED", "LEFT"], ["v1", "v2", "2", "0"]])
                for id in ["one", "two"] as [WorkflowID] {
                    #expect(try await executor.client.retrieve(id, as: String.self).result() == "done")
                }
                let again = try await database.tool.run(Self.words + ["--json"])
                #expect(again.status == 0)
                #expect(try again.decoded(RepinDocument.self) == RepinDocument(from: "v1", to: "v2", moved: 0, left: 0))
                // What has no version of its own belongs to the latest one, and is not left behind.
                try await database.query(
                    "SELECT {s}.enqueue_workflow('versioned', 'nowhere', application_name => 'test-app')"
                )
                let back = ["version", "repin", "--from", "v2", "--to", "v1", "--application", "test-app"]
                #expect(try await database.tool.run(back).status == 0)
                let nothing = try await database.tool.run(Self.words + ["--dry-run"])
                #expect(nothing.status == 0)
                #expect(nothing.output.isEmpty)
                #expect(nothing.complaint == "holdfast: version 'v1' has no open workflows\n")
                #expect(try await database.tool.run(Self.words + ["--dry-run", "--json"]).output == "[]\n")
            }
        }
    }

    @Test("work that a live executor runs stays with it, and that is said")
    func running() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor(version: "v2") { _ in }
            try await database.withExecutor(register: Versioned.code(["a"], finishes: false)) { executor in
                _ = try await executor.client.start(Versioned.workflow, "", options: StartOptions(id: "one"))
                while try await executor.client.steps(of: "one").count < 2 {
                    try await Task.sleep(for: .milliseconds(20))
                }
                let answer = try await database.tool.run(Self.words + ["--json"])
                #expect(answer.status == 6)
                #expect(
                    answer.complaint
                        == "holdfast: nothing was re-pinned: 1 workflow stayed with version 'v1', because executors own what is left: "
                        + "'worker-1' (1); drain or stop those, and repeat the call\n"
                )
                #expect(
                    try answer.decoded(RepinDocument.self) == RepinDocument(from: "v1", to: "v2", moved: 0, left: 1)
                )
            }
        }
    }

    @Test("a dry run names what it cannot read")
    func foreignFormat() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one")
            try await database.query("UPDATE {s}.workflow_status SET serialization = 'py_pickle'")
            try await database.withExecutor(version: "v2", register: Versioned.code(["a", "b"])) { _ in
                let answer = try await database.tool.run(Self.words + ["--dry-run"])
                #expect(answer.status == 6)
                #expect(answer.complaint == "holdfast: nothing was changed: 1 workflow could not be compared\n")
                #expect(answer.rows.last?.prefix(3) == ["one", "not", "compared"])
                let verdicts = try await database.tool.run(Self.words + ["--dry-run", "--json"])
                    .decoded([ReplayDocument].self)
                #expect(verdicts.map(\.compared) == [false])
                #expect(verdicts.map(\.compatible) == [false])
            }
        }
    }

    @Test("unknown versions, and a version that nobody runs")
    func nobody() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one")
            for options in [[], ["--dry-run"]] {
                for (from, to, unknown) in [("v1", "v9", "v9"), ("v8", "v1", "v8")] {
                    let answer = try await database.tool.run(
                        ["version", "repin", "--from", from, "--to", to, "--application", "test-app"] + options
                    )
                    #expect(answer.status == 3)
                    #expect(answer.output.isEmpty)
                    #expect(answer.complaint == "holdfast: application 'test-app' has no version '\(unknown)'\n")
                }
            }
            try await database.withExecutor(version: "v2") { _ in }
            let answer = try await database.tool.run(Self.words + ["--dry-run"])
            #expect(answer.status == 1)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint.contains("no executor of version 'v2' is alive"))
            // Work may be given to a version that is about to be started.
            #expect(try await database.tool.run(Self.words).rows.last == ["v1", "v2", "1", "0"])
        }
    }
}
