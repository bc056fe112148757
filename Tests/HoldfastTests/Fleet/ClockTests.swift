// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if os(Linux)
import Foundation
import Holdfast
import HoldfastPostgres
import TestSupport
import Testing

@Suite("A clock that is wrong and jumps", .timeLimit(.minutes(10)))
struct ClockTests {
    private static let hour: Int64 = 3600

    @Test("on an executor's host costs no lease, and every time is the database's", arguments: [hour * 3, hour * -3])
    func host(shift: Int64) async throws {
        try await Fleet.with { fleet in
            let clock = try await ShiftedClock(in: fleet.folder.path)
            try clock.set(to: shift)
            _ = try await fleet.start("skewed", timing: .longLease) { $0.environment = clock.environment }
            let seen = try await fleet.enqueue(wallClock, Nothing(), id: "look").result()
            #expect(abs(seen - Date().timeIntervalSince1970 - Double(shift)) < 600, "the clock is not shifted")

            // A sleep during which the clock jumps to the other side.
            let handle = try await fleet.enqueue(sleepy, 2000)
            try await fleet.untilRecorded(2)
            try clock.set(to: -shift)
            // Work that is not due yet, and a time-out that is far: neither may come early. That of work that is due shows
            // that the executor has looked, with its clock on either side.
            let client = fleet.client
            let later = EnqueueOptions(id: "later", delay: .seconds(3600))
            _ = try await client.enqueue(noop, Nothing(), on: "work", options: later)
            let limited = EnqueueOptions(id: "limited", timeout: .seconds(3600))
            _ = try await client.enqueue(effects, Plan(steps: 1, gates: [1]), on: "work", options: limited)
            try await fleet.folder.until("effect limited 1")
            for (index, side) in [shift, -shift].enumerated() {
                try clock.set(to: side)
                let soon = EnqueueOptions(id: "soon\(index)", delay: .milliseconds(1))
                _ = try await client.enqueue(noop, Nothing(), on: "work", options: soon).result()
            }
            #expect(try await client.workflow("later").status == .delayed)
            #expect(try await client.workflow("limited").status == .pending)
            fleet.folder.open("limited-1")
            #expect(try await handle.result() == 2000)

            // What was recorded is on the database's clock, to within what a loaded machine needs for an answer.
            let wrong = try await fleet.database.query(
                """
                SELECT workflow_uuid || ' ' || function_name FROM {s}.operation_outputs
                 WHERE abs(started_at_epoch_ms - retention_timestamp) > 600000
                    OR abs(completed_at_epoch_ms - retention_timestamp) > 600000
                UNION ALL SELECT workflow_uuid FROM {s}.workflow_status
                 WHERE greatest(abs(created_at - updated_at), abs(completed_at - updated_at)) > 600000
                    OR abs(workflow_deadline_epoch_ms - started_at_epoch_ms - 3600000) > 600000
                    OR (workflow_uuid = 'later' AND abs(delay_until_epoch_ms - created_at - 3600000) > 600000)
                """
            ).map { try $0.string(0) }
            #expect(wrong == [])
            // It slept as long as it should, by the database's clock: 2 s lie between the records around the sleep.
            let slept = try await fleet.database.count(
                """
                SELECT (max(retention_timestamp) - min(retention_timestamp))::int8 FROM {s}.operation_outputs
                 WHERE workflow_uuid = 'w' AND function_name <> 'before'
                """
            )
            #expect(slept >= 1950 && slept < 600_000, "\(slept) ms")
            #expect(try await fleet.lives(of: "skewed") == ["active"])
            #expect(try await fleet.database.count("SELECT count(*) FROM {h}.takeovers") == 0)
        }
    }

    @Test("on the host where a sleep began does not change when its successor wakes", arguments: [hour * 3, hour * -3])
    func successor(shift: Int64) async throws {
        try await Fleet.with { fleet in
            let clock = try await ShiftedClock(in: fleet.folder.path)
            try clock.set(to: shift)
            let first = try await fleet.start("skewed", timing: .longLease) { $0.environment = clock.environment }
            let handle = try await fleet.enqueue(sleepy, 2000)
            try await fleet.untilRecorded(2)
            await first.killNow()
            _ = try await fleet.start("right", timing: .longLease)
            #expect(try await handle.result() == 2000)
            let early = try await fleet.database.count(
                """
                SELECT count(*) FROM {s}.operation_outputs o JOIN {s}.operation_outputs s USING (workflow_uuid)
                 WHERE s.function_name = 'DBOS.sleep' AND o.function_name = 'after'
                   AND o.retention_timestamp < s.retention_timestamp + 1950
                """
            )
            #expect(early == 0)
            #expect(fleet.folder.lines() == ["effect w 1 skewed", "effect w 2 right"])
        }
    }

    @Test("of the database ends no lease of a living executor", arguments: [hour, hour * -1])
    func database(shift: Int64) async throws {
        try await Self.withDatabaseClock { fleet, setClock in
            let executors = ["one", "two", "three"]
            for id in executors { _ = try await fleet.start(id, timing: .shortLease) }
            let handle = try await fleet.enqueue("w", steps: 2, gates: [1])
            try await fleet.folder.until("effect w 1")
            try await Self.untilAllMayJudge(executors.count, fleet)
            try await setClock(shift)
            // Each has renewed several times since.
            try await fleet.database.until(
                "SELECT count(*) FROM {h}.executors WHERE abs(extract(epoch FROM renewed_at - started_at)) > 1800",
                is: executors.count
            )
            for id in executors {
                try await until("\(id) has noticed") {
                    fleet.folder.log(of: id).contains("the database's clock was set")
                }
            }
            fleet.folder.open("w-1")
            #expect(try await handle.result() == 2)
            for id in executors { #expect(try await fleet.lives(of: id) == ["active"]) }
            #expect(try await fleet.takeovers() == [])
            #expect(try await fleet.client.workflow("w").recoveryAttempts == 1)
        }
    }

    @Test("of the database hides no death", arguments: [hour, hour * -1])
    func death(shift: Int64) async throws {
        try await Self.withDatabaseClock { fleet, setClock in
            let first = try await fleet.start("one", timing: .shortLease)
            let handle = try await fleet.enqueue("w", steps: 1, gates: [1])
            try await fleet.folder.until("effect w 1")
            _ = try await fleet.start("two", timing: .shortLease)
            try await Self.untilAllMayJudge(2, fleet)
            // Its session goes on, so that only its lease can tell.
            first.signal(SIGSTOP)
            try await setClock(shift)
            try await fleet.folder.until("effect w 1", happened: 2)
            fleet.folder.open("w-1")
            #expect(try await handle.result() == 1)
            #expect(try await fleet.takeovers() == ["one lease_expired requeued"])
            #expect(try await fleet.lives(of: "two") == ["active"])
        }
    }

    /// A fleet on a server whose clock the test can set.
    private static func withDatabaseClock(
        _ body: (Fleet, _ setClock: (Int64) async throws -> Void) async throws -> Void
    ) async throws {
        try await WorkerFolder.with { folder in
            // The server's processes belong to somebody else.
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path)
            let clock = try await ShiftedClock(in: folder.path)
            try await TemporaryPostgres.withServer(environment: clock.environment) { server in
                try await Fleet.with(url: server.string()) { fleet in
                    func now() async throws -> Int {
                        try await fleet.database.count("SELECT extract(epoch FROM clock_timestamp())::int8")
                    }
                    try await body(fleet) { shift in
                        let before = try await now()
                        try clock.set(to: shift)
                        let jump = try await now() - before
                        #expect(abs(jump - Int(shift)) < 600, "the clock is not shifted")
                    }
                }
            }
        }
    }

    /// All have been members for longer than a lease.
    private static func untilAllMayJudge(_ count: Int, _ fleet: Fleet) async throws {
        try await fleet.database.until(
            "SELECT count(*) FROM {h}.executors WHERE renewed_at > started_at + 1.2 * lease_ms * interval '1 ms'",
            is: count
        )
    }
}
#endif
