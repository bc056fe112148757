// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("An executor that an operator drains", .timeLimit(.minutes(2)))
struct DrainTests {
    @Test("hands its work over, claims nothing more, and stays in the fleet until it is stopped")
    func drain() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("one", database, folder)
                try await WorkerProcess.with([first]) {
                    try await withClient(database) { client in
                        let handle = try await client.enqueue(
                            WorkflowReference<Int, Int>("sleepy"),
                            2000,
                            on: "work",
                            options: .init(id: "w")
                        )
                        try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 2)
                        let second = try WorkerProcess("two", database, folder)
                        try await WorkerProcess.with([second]) {
                            let drained = try await client.drain(["one", "nobody"])
                            #expect(drained == ["one"])
                            #expect(try await handle.result() == 2000)
                            let workflow = try await client.workflow("w")
                            #expect(workflow.executorID == "two")
                            #expect(workflow.recoveryAttempts == 1)
                            for index in 0..<20 {
                                _ = try await client.enqueue(
                                    noop,
                                    Nothing(),
                                    on: "work",
                                    options: .init(id: "n\(index)")
                                )
                                .result()
                            }
                            let byOne = try await database.count(
                                "SELECT count(*) FROM {s}.workflow_status WHERE executor_id = 'one'"
                            )
                            #expect(byOne == 0)
                            let one = try await client.fleet().first { $0.executorID == "one" }
                            #expect(one?.state == .draining)
                        }
                    }
                }
            }
        }
    }
}
