// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

@Suite("A workflow under which executors keep dying", .timeLimit(.minutes(10)))
struct PoisonTests {
    /// Starts executors one after the other, each of which claims the poison `p` and dies of it, perhaps before it says that it
    /// is ready; the next one takes over.
    private static func kill(_ deaths: ClosedRange<Int>, in fleet: Fleet) async throws {
        for death in deaths {
            let victim = try await fleet.start("victim\(death)", waits: false) { $0.quarantineAfter = 1 }
            try await fleet.folder.until("effect p 1", happened: death)
            await victim.ended()
        }
    }

    @Test("is delayed, then given up, with the executors it took down; its neighbour in a long step is not")
    func quarantine() async throws {
        try await Fleet.with { fleet in
            let poison = WorkflowReference<Nothing, Nothing>("poison")
            let first = try await fleet.start("victim1") { $0.quarantineAfter = 1 }
            let neighbour = try await fleet.enqueue("n", steps: 1, gates: [1])
            try await fleet.folder.until("effect n 1")
            let handle = try await fleet.enqueue(poison, Nothing(), id: "p")
            await first.ended()
            // Both come back at once, so both are taken down again.
            try await Self.kill(2...2, in: fleet)
            // Which of the two kills is not known, so neither is given up.
            let third = try await fleet.start("victim3") { $0.quarantineAfter = 1 }
            try await fleet.database.until("SELECT count(*) FROM {s}.workflow_status WHERE status = 'DELAYED'", is: 2)
            // What chance does sooner or later: one comes back without the other.
            try await Self.endDelay(of: "p", in: fleet)
            await third.ended()
            _ = try await fleet.start("survivor") { $0.quarantineAfter = 1 }
            try await fleet.database.until("p", is: .recoveryAttemptsExceeded)
            let takeovers = try await fleet.client.takeovers(of: "p")
            #expect(takeovers.map(\.from) == ["victim1", "victim2", "victim3"])
            #expect(takeovers.map(\.decision) == ["requeued", "delayed", "quarantined"])
            #expect(takeovers.map(\.strikes) == [1, 2, 3])
            #expect(fleet.folder.count("effect p 1") == 3)
            await #expect(throws: WorkflowFailure.self) { try await handle.result() }
            try await Self.endDelay(of: "n", in: fleet)
            fleet.folder.open("n-1")
            #expect(try await neighbour.result() == 1)
            #expect(try await fleet.client.takeovers(of: "n").map(\.strikes) == [1, 2])
        }
    }

    @Test("is given up also when a child of it is open")
    func openChild() async throws {
        try await Fleet.with { fleet in
            let parent = WorkflowReference<Nothing, Nothing>("poisonous-parent")
            _ = try await fleet.enqueue(parent, Nothing(), id: "p")
            try await Self.kill(1...4, in: fleet)
            _ = try await fleet.start("survivor") { $0.quarantineAfter = 1 }
            try await fleet.database.until("p", is: .recoveryAttemptsExceeded)
            #expect(
                try await fleet.client.takeovers(of: "p").map(\.decision)
                    == ["requeued", "requeued", "requeued", "quarantined"]
            )
        }
    }

    private static func endDelay(of id: String, in fleet: Fleet) async throws {
        try await fleet.database.query(
            "UPDATE {s}.workflow_status SET delay_until_epoch_ms = 0 WHERE workflow_uuid = $1 AND status = 'DELAYED'",
            .text(id)
        )
    }
}
