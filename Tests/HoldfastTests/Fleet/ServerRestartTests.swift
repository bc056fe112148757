// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import TestSupport
import Testing

@Suite("A fleet whose Postgres is down", .timeLimit(.minutes(10)))
struct ServerRestartTests {
    private static let executors = ["one", "two", "three"]

    /// Starts a fleet with a workflow in the middle of a step on each executor, and takes the server away until each of them
    /// has logged `line` `times` times.
    private static func withOutage(
        _ timing: WorkerProcess.Timing,
        until line: String,
        times: Int,
        _ body: (Fleet, [WorkflowHandle<Int>]) async throws -> Void
    ) async throws {
        try await TemporaryPostgres.withServer { server in
            try await Fleet.with(url: server.string()) { fleet in
                var handles: [WorkflowHandle<Int>] = []
                for id in Self.executors {
                    // The newest has the only free slot.
                    _ = try await fleet.start(id, timing: timing) { $0.concurrency = 1 }
                    handles.append(try await fleet.enqueue(WorkflowID("w-\(id)"), steps: 2, gates: [1]))
                    try await fleet.folder.until("effect w-\(id) 1")
                }
                // All of them may judge each other's leases and sessions.
                try await fleet.database.until(
                    """
                    SELECT count(*) FROM {h}.executors WHERE session_server_epoch IS NOT NULL
                       AND renewed_at > started_at + lease_ms * interval '1 ms'
                    """,
                    is: Self.executors.count
                )
                try await server.stop()
                for id in Self.executors {
                    try await until("'\(line)' of \(id)") {
                        fleet.folder.log(of: id).split(separator: "\n").count { $0.contains(line) } >= times
                    }
                }
                try await server.start()
                try await body(fleet, handles)
            }
        }
    }

    @Test("for several heartbeats: nobody is declared dead, and no step runs twice")
    func short() async throws {
        // As long as the lease is, so long must an executor have been a member to judge it.
        let timing = WorkerProcess.Timing(selfStop: 10_000, lease: 11_000)
        try await Self.withOutage(timing, until: "the lease could not be renewed", times: 4) { fleet, handles in
            try await fleet.database.until(
                "SELECT count(*) FROM {h}.executors WHERE session_server_epoch > started_at",
                is: Self.executors.count
            )
            for id in Self.executors { fleet.folder.open("w-\(id)-1") }
            for handle in handles { #expect(try await handle.result() == 2) }
            for id in Self.executors { #expect(try await fleet.lives(of: id) == ["active"]) }
            #expect(try await fleet.database.count("SELECT count(*) FROM {h}.takeovers") == 0)
            #expect(fleet.folder.lines().count == 2 * Self.executors.count)
        }
    }

    @Test("for longer than the lease: all stop by themselves and come back, and each step's result is recorded once")
    func long() async throws {
        try await Self.withOutage(.shortLease, until: "this executor stops its work", times: 1) { fleet, handles in
            for id in Self.executors { fleet.folder.open("w-\(id)-1") }
            for handle in handles { #expect(try await handle.result() == 2) }
            for id in Self.executors {
                try await until("\(id) is back") { try await fleet.lives(of: id).last == "active" }
                #expect(fleet.folder.count("effect w-\(id) 2") == 1)
                #expect(fleet.folder.count("cancelled w-\(id) 1") == 1)
                // Nobody died: no attempt, and no strike.
                #expect(try await fleet.client.workflow(WorkflowID("w-\(id)")).recoveryAttempts == 1)
                let takeovers = try await fleet.client.takeovers(of: WorkflowID("w-\(id)"))
                #expect(takeovers.map { "\($0.reason) \($0.decision) \($0.strikes)" } == ["rejoined requeued 0"])
            }
        }
    }
}
