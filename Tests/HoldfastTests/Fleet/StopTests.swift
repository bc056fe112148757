// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

/// Leases here expire in no test: what is taken over was handed over.
@Suite("An executor that is told to stop", .timeLimit(.minutes(10)))
struct StopTests {
    private static let patient: WorkerProcess.Timing = {
        var timing = WorkerProcess.Timing.longLease
        timing.grace = 600_000
        return timing
    }()

    @Test("and is the only one leaves its work in the queue, and whoever comes next goes on at once")
    func handOverToNobody() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: Self.patient)
            let stepping = try await fleet.enqueue("stepping", steps: 3, gates: [2])
            let sleeping = try await fleet.enqueue(sleepy, 1000, id: "sleeping")
            try await fleet.folder.until("effect stepping 2")
            try await fleet.untilRecorded(2, of: "sleeping")
            first.signal(SIGTERM)
            try await until("it is draining") { try await fleet.lives(of: "one") == ["draining"] }
            // The step that runs reaches its checkpoint.
            fleet.folder.open("stepping-2")
            #expect(await first.ended() == 0)
            #expect(try await fleet.lives(of: "one") == ["stopped shutdown"])
            for id: WorkflowID in ["stepping", "sleeping"] {
                let workflow = try await fleet.client.workflow(id)
                #expect(workflow.status == .enqueued)
                #expect(workflow.queue == "work")
                #expect(workflow.recoveryAttempts == 0)
                #expect(try await fleet.client.steps(of: id).map(\.id.number) == [1, 2])
                let explanation = try await fleet.client.explain(id)
                #expect(explanation.reason == "no_executor")
                #expect(explanation.sentence == "no executor of application 'test-app' is alive; start one")
            }
            _ = try await fleet.start("other", version: "v2", timing: Self.patient)
            let explanation = try await fleet.client.explain("stepping")
            #expect(explanation.reason == "no_executor_of_version")
            #expect(explanation.sentence.contains("'v1'"))
            _ = try await fleet.start("two", timing: Self.patient)
            #expect(try await stepping.result() == 3)
            #expect(try await sleeping.result() == 1000)
            let effects = fleet.folder.lines().filter { $0.hasPrefix("effect stepping") }
            #expect(effects == ["effect stepping 1 one", "effect stepping 2 one", "effect stepping 3 two"])
            #expect(fleet.folder.count("effect sleeping 1") == 1)
            for id: WorkflowID in ["stepping", "sleeping"] {
                #expect(try await fleet.client.workflow(id).recoveryAttempts == 1)
                #expect(try await fleet.takeovers(of: id) == [])
            }
        }
    }

    @Test("a second time ends the grace period: a step that can be cancelled is, and its workflow is handed back")
    func secondSignal() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: Self.patient)
            let handle = try await fleet.enqueue("w", steps: 2, gates: [2])
            try await fleet.folder.until("effect w 2")
            first.signal(SIGTERM)
            try await until("it is draining") { try await fleet.lives(of: "one") == ["draining"] }
            #expect(fleet.folder.count("cancelled w 2") == 0)
            first.signal(SIGTERM)
            #expect(await first.ended() == 0)
            #expect(fleet.folder.count("cancelled w 2") == 1)
            try await Self.checkHandOver(fleet)
            fleet.folder.open("w-2")
            #expect(try await handle.result() == 2)
            #expect(fleet.folder.lines().filter { $0.hasPrefix("effect w 1") } == ["effect w 1 one"])
        }
    }

    enum End: CaseIterable, Sendable { case ofTheGracePeriod, bySecondSignal }

    @Test(
        "does not wait for a step that blocks its thread, neither beyond its grace period nor after a second signal",
        .enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1, "the step blocks the only thread"),
        arguments: End.allCases
    )
    func blocked(end: End) async throws {
        try await Fleet.with { fleet in
            var timing = Self.patient
            if end == .ofTheGracePeriod { timing.grace = 100 }
            let first = try await fleet.start("one", timing: timing)
            let handle = try await fleet.enqueue(blocker, Nothing())
            try await fleet.folder.until("effect w 1")
            first.signal(SIGTERM)
            if end == .bySecondSignal {
                try await until("it is draining") { try await fleet.lives(of: "one") == ["draining"] }
                first.signal(SIGTERM)
            }
            #expect(await first.ended() == 0)
            try await Self.checkHandOver(fleet)
            fleet.folder.open("w-1")
            _ = try await handle.result()
            #expect(fleet.folder.lines() == ["effect w 1 one", "effect w 1 two"])
        }
    }

    @Test("by SIGKILL in the middle of its grace period loses nothing either")
    func killed() async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: Self.patient)
            let handle = try await fleet.enqueue("w", steps: 2, gates: [2])
            try await fleet.folder.until("effect w 2")
            _ = try await fleet.start("two", timing: Self.patient)
            first.signal(SIGTERM)
            try await until("it is draining") { try await fleet.lives(of: "one") == ["draining"] }
            await first.killNow()
            try await fleet.folder.until("effect w 2", happened: 2)
            fleet.folder.open("w-2")
            #expect(try await handle.result() == 2)
            #expect(try await fleet.takeovers() == ["one \(fleet.reasonOfADeath) requeued"])
            #expect(fleet.folder.count("effect w 1") == 1)
        }
    }

    /// The workflow is in its queue, and a successor takes it from there.
    private static func checkHandOver(_ fleet: Fleet) async throws {
        #expect(try await fleet.lives(of: "one") == ["stopped shutdown"])
        let waiting = try await fleet.client.workflow("w")
        #expect(waiting.status == .enqueued)
        #expect(waiting.recoveryAttempts == 0)
        _ = try await fleet.start("two", timing: Self.patient)
        try await fleet.database.until("w", is: .pending)
        #expect(try await fleet.client.workflow("w").executorID == "two")
        #expect(try await fleet.client.workflow("w").recoveryAttempts == 1)
        #expect(try await fleet.takeovers() == [])
    }
}
