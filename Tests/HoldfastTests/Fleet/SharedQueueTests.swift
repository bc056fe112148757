// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("Several executors on one queue", .timeLimit(.minutes(10)))
struct SharedQueueTests {
    @Test("run each of 5,000 workflows exactly once")
    func exactlyOnce() async throws {
        try await Fleet.with { fleet in
            for id in ["one", "two"] { _ = try await fleet.start(id, timing: .longLease) { $0.concurrency = 256 } }
            let count = 5000
            try await fleet.enqueueMany(count)
            try await fleet.database.until(
                "SELECT count(*) FROM {s}.workflow_status WHERE status = 'SUCCESS'",
                is: count
            )
            let runs = fleet.folder.lines()
            #expect(runs.count == count)
            #expect(Set(runs.map { $0.split(separator: " ")[1] }).count == count)
            #expect(Set(runs.map { $0.split(separator: " ")[2] }) == ["one", "two"])
            let repeated = try await fleet.database.count(
                "SELECT count(*) FROM {s}.workflow_status WHERE recovery_attempts <> 1"
            )
            #expect(repeated == 0)
        }
    }

    @Test("hand work over on SIGTERM at once, and no attempt is counted")
    func handOver() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: .longLease)
            // It sleeps for longer than the test may take.
            _ = try await fleet.enqueue(sleepy, 600_000)
            try await fleet.untilRecorded(2)
            _ = try await fleet.start("two", timing: .longLease)
            first.signal(SIGTERM)
            #expect(await first.ended() == 0)
            try await until("the other one runs it") {
                let workflow = try await fleet.client.workflow("w")
                return workflow.executorID == "two" && workflow.status == .pending
            }
            let workflow = try await fleet.client.workflow("w")
            #expect(workflow.recoveryAttempts == 1)
            #expect(try await fleet.takeovers() == [])
            #expect(try await fleet.lives(of: "one") == ["stopped shutdown"])
        }
    }
}
