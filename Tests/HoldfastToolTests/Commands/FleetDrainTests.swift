// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("holdfast fleet drain", .timeLimit(.minutes(5))) struct FleetDrainTests {
    @Test("living executors are asked and drain; ended and unknown ones are named")
    func drain() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor("worker-2") { _ in }
            try await database.withExecutor { executor in
                let partial = try await database.run("fleet", "drain", "worker-2", "worker-1", "worker-1", "nobody")
                #expect(partial.status == 6)
                #expect(
                    partial.complaint
                        == "holdfast: not all were asked: 'worker-2' has ended, no executor has the id 'nobody'\n"
                )
                #expect(
                    partial.rows.map { Array($0.prefix(3)) } == [
                        ["EXECUTOR", "RESULT", "STATE"], ["worker-2", "ended", "already"],
                        ["worker-1", "asked", "active"], ["nobody", "not", "found"],
                    ]
                )
                while try await executor.client.fleet().first?.state != .draining {
                    try await Task.sleep(for: .milliseconds(50))
                }
                let again = try await database.run("fleet", "drain", "worker-1", "--json")
                #expect(again.status == 0)
                #expect(again.complaint.isEmpty)
                #expect(
                    try again.decoded([DrainDocument].self) == [
                        DrainDocument(executorId: "worker-1", outcome: "asked", state: "draining")
                    ]
                )
            }
            let ended = try await database.run("fleet", "drain", "worker-1", "--json")
            #expect(ended.status == 6)
            #expect(ended.complaint == "holdfast: nobody was asked: 'worker-1' has ended\n")
            #expect(
                try ended.decoded([DrainDocument].self) == [
                    DrainDocument(executorId: "worker-1", outcome: "ended", state: "stopped")
                ]
            )
            let unknown = try await database.run("fleet", "drain", "nobody")
            #expect(unknown.status == 3)
            #expect(unknown.output.isEmpty)
            #expect(unknown.complaint == "holdfast: nobody was asked: no executor has the id 'nobody'\n")
            let other = try await database.run("fleet", "drain", "worker-1", "--application", "another")
            #expect(other.status == 3)
        }
    }
}
