// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("A workflow under which executors keep dying", .timeLimit(.minutes(3)))
struct PoisonTests {
    @Test("is delayed, then given up, with the executors it took down; its neighbour is finished")
    func quarantine() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let timing = WorkerProcess.Timing(quarantineAfter: 2)
                try await withClient(database) { client in
                    // Each victim claims the poison and dies; the next one takes over.
                    for (index, deaths) in [1, 2, 3].enumerated() {
                        let victim = try WorkerProcess("victim\(index)", database, folder, timing: timing)
                        try await WorkerProcess.with([victim]) {
                            if index == 0 {
                                _ = try await client.enqueue(
                                    WorkflowReference<Nothing, Nothing>("poison"),
                                    Nothing(),
                                    on: "work",
                                    options: .init(id: "p")
                                )
                            }
                            try await folder.until("effect p 1", happened: deaths)
                            await victim.ended()
                        }
                    }
                    let survivor = try WorkerProcess("survivor", database, folder, timing: timing)
                    try await WorkerProcess.with([survivor]) {
                        let neighbour = try await client.enqueue(noop, Nothing(), on: "work")
                        _ = try await neighbour.result()
                        try await database.until(
                            """
                            SELECT count(*) FROM {s}.workflow_status
                             WHERE workflow_uuid = 'p' AND status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'
                            """,
                            is: 1
                        )
                        let takeovers = try await client.takeovers(of: "p")
                        #expect(takeovers.map(\.from) == ["victim0", "victim1", "victim2"])
                        #expect(takeovers.map(\.decision) == ["requeued", "delayed", "quarantined"])
                        #expect(takeovers.map(\.strikes) == [1, 2, 3])
                        #expect(folder.count("effect p 1") == 3)
                        let handle = try await client.retrieve("p", as: Nothing.self)
                        await #expect(throws: WorkflowFailure.self) { try await handle.result() }
                    }
                }
            }
        }
    }
}
