// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("holdfast workflow export", .timeLimit(.minutes(5))) struct WorkflowExportTests {
    @Test("prints the history of a workflow, with --json as without")
    func export() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor { executor in
                let greet = WorkflowReference<String, String>("greet")
                _ = try await executor.client.start(greet, "World", options: StartOptions(id: "good")).result()
            }
            let history = try await database.client.history(of: "good")
            #expect(history.steps.map(\.name) == ["salutation", "join"])
            for arguments in [[], ["--json"]] {
                let answer = try await database.tool.run(["workflow", "export", "good"] + arguments)
                #expect(answer.status == 0)
                #expect(try WorkflowHistory(json: answer.output) == history)
                // One line for each step, for the sake of differences.
                #expect(answer.output.contains("\n    {\"step\":2,\"name\":\"join\",\"output\":\"Hello, World!\"}\n"))
            }
        }
    }

    @Test("says when there is no such workflow")
    func unknown() async throws {
        try await ToolDatabase.with { database in
            let answer = try await database.run("workflow", "export", "nobody")
            #expect(answer.status == 3)
            #expect(answer.output.isEmpty)
        }
    }
}
