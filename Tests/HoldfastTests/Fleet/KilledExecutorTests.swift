// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("An executor that is killed", .timeLimit(.minutes(10)))
struct KilledExecutorTests {
    @Test("between a step's effect and its checkpoint: the step runs again, once")
    func betweenEffectAndCheckpoint() async throws {
        try await Fleet.with { fleet in
            // Leases that expire in no test: the death is seen by the end of the session.
            let first = try await fleet.start("one", timing: .longLease)
            let second = try await fleet.start("two", timing: .longLease)
            let handle = try await fleet.enqueue("w", steps: 3, gates: [2])
            try await fleet.folder.until("effect w 2")
            let owner = try await fleet.client.workflow("w").executorID
            await (owner == "one" ? first : second).killNow()
            try await fleet.folder.until("effect w 2", happened: 2)
            fleet.folder.open("w-2")
            #expect(try await handle.result() == 3)
            #expect((1...3).map { fleet.folder.count("effect w \($0)") } == [1, 2, 1])
            #expect(try await fleet.takeovers() == ["\(owner ?? "") \(fleet.reasonOfADeath) requeued"])
            #expect(try await fleet.client.workflow("w").recoveryAttempts == 2)
        }
    }

    @Test("after a checkpoint: the completed steps are not run again")
    func afterCheckpoint() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: .longLease)
            let handle = try await fleet.enqueue(sleepy, 1500)
            // The sleep's own record is the second checkpoint.
            try await fleet.untilRecorded(2)
            await first.killNow()
            _ = try await fleet.start("two", timing: .longLease)
            #expect(try await handle.result() == 1500)
            #expect(fleet.folder.lines() == ["effect w 1 one", "effect w 2 two"])
        }
    }

    @Test("and started again in the same slot: the new life takes over at once")
    func sameSlot() async throws {
        try await Fleet.with { fleet in
            // Only the new incarnation can prove the old one dead in time.
            let first = try await fleet.start("slot", timing: .longLease)
            let handle = try await fleet.enqueue("w", steps: 1, gates: [1])
            try await fleet.folder.until("effect w 1")
            await first.killNow()
            _ = try await fleet.start("slot", timing: .longLease)
            fleet.folder.open("w-1")
            #expect(try await handle.result() == 1)
            #expect(try await fleet.takeovers() == ["slot superseded requeued"])
        }
    }

    @Test("frozen beyond its lease, it writes nothing after it wakes")
    func frozen() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: .shortLease)
            let handle = try await fleet.enqueue("w", steps: 2, gates: [1])
            try await fleet.folder.until("effect w 1")
            first.signal(SIGSTOP)
            let second = try await fleet.start("two", timing: .shortLease)
            try await fleet.folder.until("effect w 1", happened: 2)
            // With the gate open the frozen process would write its checkpoint as soon as it wakes.
            fleet.folder.open("w-1")
            #expect(try await handle.result() == 2)
            let before = try await fleet.rows()
            first.signal(SIGCONT)
            // It notices, joins again as a new incarnation, and is fit for work.
            try await until("it is back") {
                try await fleet.lives(of: "one") == ["dead lease_expired", "active"]
            }
            await second.killNow()
            _ = try await fleet.enqueue(noop, Nothing(), id: "n").result()
            #expect(try await fleet.client.workflow("n").executorID == "one")
            #expect(try await fleet.rows() == before)
            #expect(try await fleet.takeovers() == ["one lease_expired requeued"])
        }
    }

    @Test("frozen by its own steps, which block all of its threads, loses them after its lease")
    func blocked() async throws {
        try await Fleet.with { fleet in
            _ = try await fleet.start("one")
            let ids = (0..<ProcessInfo.processInfo.activeProcessorCount).map { WorkflowID("w\($0)") }
            var handles: [WorkflowHandle<Nothing>] = []
            for id in ids { handles.append(try await fleet.enqueue(blocker, Nothing(), id: id)) }
            for id in ids { try await fleet.folder.until("effect \(id) 1") }
            _ = try await fleet.start("two")
            for id in ids { try await fleet.folder.until("effect \(id) 1", happened: 2) }
            for id in ids { fleet.folder.open("\(id)-1") }
            for handle in handles { _ = try await handle.result() }
            for id in ids {
                #expect(try await fleet.takeovers(of: id).first == "one lease_expired requeued")
                #expect(try await fleet.client.steps(of: id).count == 1)
            }
            try await until("it is back") { try await fleet.lives(of: "one").last == "active" }
        }
    }
}
