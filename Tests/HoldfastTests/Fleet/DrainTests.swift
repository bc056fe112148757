// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("An executor that an operator drains", .timeLimit(.minutes(10)))
struct DrainTests {
    @Test("hands its work over, claims nothing more, and stays in the fleet until it is stopped")
    func drain() async throws {
        try await Fleet.with { fleet in
            _ = try await fleet.start("one", timing: .longLease)
            let handle = try await fleet.enqueue(sleepy, 2000)
            try await fleet.untilRecorded(2)
            _ = try await fleet.start("two", timing: .longLease)
            let drained = try await fleet.client.drain(["one", "nobody"])
            #expect(drained == ["one"])
            #expect(try await handle.result() == 2000)
            let workflow = try await fleet.client.workflow("w")
            #expect(workflow.executorID == "two")
            #expect(workflow.recoveryAttempts == 1)
            for index in 0..<20 { _ = try await fleet.enqueue(noop, Nothing(), id: "n\(index)").result() }
            let byOne = try await fleet.database.count(
                "SELECT count(*) FROM {s}.workflow_status WHERE executor_id = 'one'"
            )
            #expect(byOne == 0)
            #expect(try await fleet.lives(of: "one") == ["draining"])
        }
    }
}
