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

    @Test("a version's executors are asked together, and waited for until they are idle")
    func version() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor("new-1", version: "v2") { _ in
                try await database.withExecutor("old-1", register: Versioned.code(["a"], finishes: false)) { executor in
                    try await database.withExecutor("old-2") { _ in
                        _ = try await executor.client.start(Versioned.workflow, "", options: StartOptions(id: "one"))
                        while try await executor.client.steps(of: "one").count < 2 {
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        let answer = try await database.run("fleet", "drain", "--version", "v1", "--wait")
                        #expect(answer.status == 0)
                        #expect(answer.complaint.isEmpty)
                        #expect(
                            answer.rows == [
                                ["EXECUTOR", "RESULT", "STATE"], ["old-1", "idle", "draining"],
                                ["old-2", "idle", "draining"],
                            ]
                        )
                        #expect(try await database.client.workflow("one").status == .enqueued)
                        let fleet = try await database.run("fleet", "status", "--json").decoded([ExecutorDocument].self)
                        #expect(fleet.map(\.executorId) == ["new-1", "old-1", "old-2"])
                        #expect(fleet.map(\.state) == ["active", "draining", "draining"])
                        #expect(fleet.map(\.drainRequested) == [false, true, true])
                    }
                }
                for words in [["--version", "v1"], ["--version", "v2", "--application", "another"]] {
                    let ended = try await database.tool.run(["fleet", "drain", "--wait"] + words)
                    #expect(ended.status == 3)
                    #expect(
                        ended.complaint == "holdfast: nobody was asked: no executor of version '\(words[1])' is alive\n"
                    )
                }
            }
        }
    }

    @Test("one that has not heard of it is shown as such, and waited for no longer than was said")
    func unheard() async throws {
        try await ToolDatabase.with { database in
            // Nobody is there to hear it.
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                   running, workflows, lease_ms, renewed_at, lease_expires_at, lock_key)
                VALUES ('00000000000000ff', 'worker-0', 'test-app', 'v0', 'active', 'elsewhere', 7, 8, 5, '{}', 1000,
                        now(), now() + interval '1 h', 1)
                """
            )
            #expect(try await database.run("fleet", "status").rows[1].prefix(3) == ["worker-0", "active", "test-app"])
            let answer = try await database.run("fleet", "drain", "worker-0", "nobody", "--wait", "--timeout", "0.5")
            #expect(answer.status == 6)
            #expect(
                answer.complaint
                    == "holdfast: not all were asked: no executor has the id 'nobody'; "
                    + "not all are idle after 0.5 s: 'worker-0' has not heard of it\n"
            )
            #expect(
                answer.rows.dropFirst() == [
                    ["worker-0", "busy", "active", "(drain", "asked)"], ["nobody", "not", "found", "-"],
                ]
            )
            let status = try await database.run("fleet", "status")
            #expect(status.rows[1].prefix(5) == ["worker-0", "active", "(drain", "asked)", "test-app"])
            try await database.query("UPDATE {h}.executors SET state = 'draining'")
            try await database.query(
                """
                INSERT INTO {s}.workflow_status (workflow_uuid, status, name, executor_id, owner_xid)
                VALUES ('w', 'PENDING', 'w', 'worker-0', '00000000000000ff-t')
                """
            )
            let busy = try await database.run("fleet", "drain", "worker-0", "--wait", "--timeout", "0", "--json")
            #expect(busy.status == 6)
            #expect(busy.complaint == "holdfast: not all are idle after 0 ms: 'worker-0' owns 1 workflow\n")
            #expect(
                try busy.decoded([DrainDocument].self) == [
                    DrainDocument(executorId: "worker-0", outcome: "busy", state: "draining")
                ]
            )
        }
    }

    @Test(
        "called wrongly",
        arguments: [[], ["one", "--version", "v1"], ["one", "--timeout", "5"], ["one", "--wait", "--timeout", "-1"]]
    )
    func usage(_ words: [String]) async throws {
        let tool = Tool(environment: ["HOLDFAST_DATABASE_URL": "postgresql:///nowhere"])
        #expect(try await tool.run(["fleet", "drain"] + words).status == 64)
    }
}
