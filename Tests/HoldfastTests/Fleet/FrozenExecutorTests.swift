// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

@Suite("An executor that was frozen beyond its lease", .timeLimit(.minutes(10)))
struct FrozenExecutorTests {
    @Test("begins no step any more when it wakes")
    func beginsNothing() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one")
            // Each of them waits for its next attempt when the executor is frozen, and may begin it on waking.
            var handles: [WorkflowHandle<Nothing>] = []
            for number in 1...20 {
                handles.append(try await fleet.enqueue(stubborn, Nothing(), id: "w\(number)"))
            }
            for number in 1...20 { try await fleet.folder.until("effect w\(number) 1") }
            first.signal(SIGSTOP)
            _ = try await fleet.start("two")
            fleet.folder.open("stubborn")
            for handle in handles { _ = try await handle.result() }
            func effectsOfTheFirst() -> Int { fleet.folder.lines().count { $0.hasSuffix(" one") } }
            let before = effectsOfTheFirst()
            first.signal(SIGCONT)
            try await until("it is back") { try await fleet.lives(of: "one").last == "active" }
            #expect(effectsOfTheFirst() == before)
        }
    }

    @Test(
        "and whose slot was given to another process leaves, and lets its successor be",
        arguments: [false, true]
    )
    func isReplaced(successorHasLeft: Bool) async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("slot")
            first.signal(SIGSTOP)
            let second = try await fleet.start("slot")
            if successorHasLeft {
                second.signal(SIGTERM)
                await second.ended()
            }
            // Until the first must stop itself on waking: it does not come to asking what became of its lease.
            try await fleet.database.until(
                """
                SELECT count(*) FROM {h}.executors
                 WHERE pid = \(first.pid) AND renewed_at < clock_timestamp() - interval '1300 ms'
                """,
                is: 1
            )
            first.signal(SIGCONT)
            try await until("one of them ends, or joins again") {
                if !first.isRunning || (!successorHasLeft && !second.isRunning) { return true }
                return try await fleet.lives(of: "slot").count > 2
            }
            try #require(!first.isRunning)
            if !successorHasLeft { _ = try await fleet.enqueue(noop, Nothing()).result() }
            #expect(try await fleet.lives(of: "slot").count { $0 == "active" } == (successorHasLeft ? 0 : 1))
            #expect(try await fleet.lives(of: "slot").count == 2)
        }
    }
}
