// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("A workflow under which executors keep dying", .timeLimit(.minutes(10)))
struct PoisonTests {
    @Test("is delayed, then given up, with the executors it took down; its neighbour is finished")
    func quarantine() async throws {
        try await Fleet.with { fleet in
            let poison = WorkflowReference<Nothing, Nothing>("poison")
            var victim = try await fleet.start("victim1") { $0.quarantineAfter = 2 }
            let handle = try await fleet.enqueue(poison, Nothing(), id: "p")
            // Each victim claims the poison and dies, perhaps before it says that it is ready; the next one takes over.
            for deaths in 1...3 {
                if deaths > 1 {
                    victim = try await fleet.start("victim\(deaths)", waits: false) { $0.quarantineAfter = 2 }
                }
                try await fleet.folder.until("effect p 1", happened: deaths)
                await victim.ended()
            }
            _ = try await fleet.start("survivor") { $0.quarantineAfter = 2 }
            _ = try await fleet.enqueue(noop, Nothing(), id: "n").result()
            try await fleet.database.until("p", is: .recoveryAttemptsExceeded)
            let takeovers = try await fleet.client.takeovers(of: "p")
            #expect(takeovers.map(\.from) == ["victim1", "victim2", "victim3"])
            #expect(takeovers.map(\.decision) == ["requeued", "delayed", "quarantined"])
            #expect(takeovers.map(\.strikes) == [1, 2, 3])
            #expect(fleet.folder.count("effect p 1") == 3)
            await #expect(throws: WorkflowFailure.self) { try await handle.result() }
        }
    }
}
