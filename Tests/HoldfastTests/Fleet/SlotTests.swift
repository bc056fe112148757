// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastCore
import HoldfastPostgres
import TestSupport
import Testing

@testable import Holdfast

@Suite("Two live executors with one executorID", .timeLimit(.minutes(10)))
struct SlotTests {
    @Test("in one process: the later one has the slot, the other one's run() says who, and it writes nothing more")
    func inProcess() async throws {
        let workflow = WorkflowReference<Nothing, String>("w")
        let diary = Diary()
        let door = Door()
        defer { door.open() }
        try await TestDatabase.with { database in
            func executor(_ name: String, _ wait: @escaping @Sendable () async -> Void) throws -> HoldfastExecutor {
                try makeExecutor(database, id: "slot", queues: [Queue("q")]) {
                    $0.heartbeat = .milliseconds(200)
                } register: {
                    try $0.register(workflow) { _, context in
                        try await context.step("step") { _ in
                            diary.note("\(name) began")
                            await wait()
                            diary.note("\(name) ended")
                            return name
                        }
                    }
                }
            }
            let first = try executor("first") { await door.passStubbornly() }
            let firstRun = Task { try await first.run() }
            try await first.waitUntilReady()
            _ = try await first.client.enqueue(workflow, Nothing(), on: "q", options: .init(id: "w"))
            try await diary.until("first began")
            let second = try executor("second") {}
            try await withService(second) { _ in
                try await second.waitUntilReady()
                let error = await #expect(throws: HoldfastError.self) { try await firstRun.value }
                #expect(error?.code == .slotTaken)
                let process = "process \(ProcessInfo.processInfo.processIdentifier) on host '\(HostName.current)'"
                #expect(error?.message.contains("slot 'slot' (\(process))") == true, "\(error?.message ?? "")")
                let result = try await second.client.retrieve("w", as: String.self).result()
                #expect(result == "second")
                door.open()
                try await diary.until("first ended")
                let recorded = try await second.client.steps(of: "w").map(\.output)
                #expect(recorded == [#""second""#])
                await #expect(throws: HoldfastError.self) { _ = try await first.client.start(workflow, Nothing()) }
            }
        }
    }

    @Test("in two processes: the earlier one ends with an error that names the other; no fight, and no strike")
    func processes() async throws {
        try await Fleet.with { fleet in
            var latest = try await fleet.start("slot", timing: .longLease) { $0.quarantineAfter = 1 }
            let handle = try await fleet.enqueue("w", steps: 2, gates: [2])
            try await fleet.folder.until("effect w 2")
            // As often as a supervisor may start them, the later one has the slot and the work.
            for lives in 2...4 {
                let next = try await fleet.start("slot", timing: .longLease) { $0.quarantineAfter = 1 }
                #expect(await latest.ended() == 1)
                let log = fleet.folder.log(of: "slot")
                #expect(log.contains("SlotTaken"))
                #expect(log.contains("process \(next.pid) on host '\(HostName.current)'"), "\(log)")
                try await fleet.folder.until("effect w 2", happened: lives)
                #expect(fleet.folder.count("cancelled w 2") == lives - 1)
                latest = next
            }
            fleet.folder.open("w-2")
            #expect(try await handle.result() == 2)
            #expect(fleet.folder.count("effect w 1") == 1)
            #expect(
                try await fleet.lives(of: "slot") == ["dead replaced", "dead replaced", "dead replaced", "active"]
            )
            let takeovers = try await fleet.client.takeovers(of: "w")
            #expect(takeovers.map(\.reason) == ["replaced", "replaced", "replaced"])
            #expect(takeovers.map(\.strikes) == [0, 0, 0])
        }
    }

    @Test("one that was cut off finds the later one when it comes back, and gives up")
    func cutOff() async throws {
        try await Fleet.with { fleet in
            try await fleet.withProxy { proxy, url in
                let first = try await fleet.start("slot", timing: .shortLease) { $0.url = url }
                let handle = try await fleet.enqueue("w", steps: 1, gates: [1])
                try await fleet.folder.until("effect w 1")
                proxy.become(.silent)
                // It has stopped by itself, and tries to join again from now on.
                try await fleet.folder.until("cancelled w 1")
                let second = try await fleet.start("slot", timing: .longLease)
                try await fleet.folder.until("effect w 1", happened: 2)
                proxy.become(.open)
                #expect(await first.ended() == 1)
                #expect(fleet.folder.log(of: "slot").contains("process \(second.pid) on host '\(HostName.current)'"))
                fleet.folder.open("w-1")
                #expect(try await handle.result() == 1)
                #expect(try await fleet.lives(of: "slot") == ["dead replaced", "active"])
            }
        }
    }

    @Test("that join at the same moment: the one that began last has the slot")
    func race() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, id: "other", register: { _ in }) { executor in
                let systemDatabase = executor.host.database
                for round in 0..<10 {
                    let members = try await withThrowingTaskGroup(of: Member.self) { group in
                        for _ in 0..<6 {
                            group.addTask {
                                let began = try await systemDatabase.nextBeginning()
                                let member = Member.test(in: "slot \(round)", began: began)
                                _ = try await systemDatabase.join(member)
                                return member
                            }
                        }
                        return try await group.reduce(into: []) { $0.append($1) }
                    }
                    let last = try #require(members.max { $0.began < $1.began })
                    let alive = try await database.query(
                        "SELECT incarnation FROM {h}.executors WHERE executor_id = $1 AND state = 'active'",
                        .text("slot \(round)")
                    ).map { try $0.string(0) }
                    #expect(alive == [last.incarnation.text])
                }
            }
        }
    }

    @Test(
        "of which the earlier one joins too late: it registers no version, is never ready, and says why",
        arguments: ["active", "stopped"]
    )
    func joiningTooLate(state: String) async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, id: "other", register: { _ in }) { _ in
                let executor = try makeExecutor(database, version: "v2", id: "slot")
                let ready = Task { try await executor.waitUntilReady() }
                let run = Task { try await executor.run() }
                let lock = database.text("SELECT pg_advisory_xact_lock(hashtextextended('{h}/test-app/slot', 0))")
                try await database.holding(lock) {
                    // It has drawn its place.
                    try await until("its join waits") {
                        try await database.count(
                            """
                            SELECT count(*) FROM pg_locks w JOIN pg_locks h USING (locktype, database, classid, objid, objsubid)
                             WHERE w.locktype = 'advisory' AND NOT w.granted AND h.granted
                               AND h.pid IN (SELECT pid FROM pg_stat_activity WHERE query = $1)
                            """,
                            .text(lock)
                        ) == 1
                    }
                    try await database.query(
                        """
                        INSERT INTO {h}.executors
                          (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                           lease_ms, renewed_at, lease_expires_at, lock_key, ended_at, began)
                        VALUES ('later', 'slot', 'test-app', 'v1', $1, 'host', 7, 1, 3600000, now(), now() + interval '1 h', 0,
                                CASE WHEN $1 = 'stopped' THEN now() END, nextval('{h}.beginnings'))
                        """,
                        .text(state)
                    )
                }
                let error = await #expect(throws: HoldfastError.self) { try await run.value }
                #expect(error?.code == .slotTaken)
                if state == "active" { #expect(error?.message.contains("process 7 on host 'host'") == true) }
                let unready = await #expect(throws: HoldfastError.self) { try await ready.value }
                #expect(unready?.code == .notRunning)
                #expect(unready?.message.contains("slot 'slot'") == true)
                let versions = try await database.query("SELECT version_name FROM {s}.application_versions")
                    .map { try $0.string(0) }
                #expect(versions == ["v1"])
            }
        }
    }

    @Test("of which one joins again: it supersedes its own former lives, and no other's; a late join changes nothing")
    func joiningAgain() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, id: "other", register: { _ in }) { executor in
                let systemDatabase = executor.host.database
                let first = try await systemDatabase.nextBeginning()
                let second = try await systemDatabase.nextBeginning()
                func join(_ began: Int64, life: Int32) async throws -> JoinReport {
                    try await systemDatabase.join(Member.test(in: "slot", began: began, life: life))
                }
                #expect(try await join(first, life: 1).hasJoined)
                let again = try await join(first, life: 3)
                #expect(again.hasJoined)
                #expect(again.others.isEmpty)
                // What it sent in between arrives late, when nobody waits for its answer any more.
                #expect(try await !join(first, life: 2).hasJoined)
                let later = try await join(second, life: 1)
                #expect(later.hasJoined)
                #expect(later.others == [SlotHolder(host: "host", pid: 7, isAlive: false)])
                let refused = try await join(first, life: 4)
                #expect(!refused.hasJoined)
                #expect(refused.others == later.others)
                let states = try await database.query(
                    "SELECT concat_ws(' ', state, end_reason) FROM {h}.executors WHERE executor_id = 'slot' ORDER BY started_at"
                ).map { try $0.string(0) }
                #expect(states == ["dead rejoined", "dead superseded", "active"])
            }
        }
    }

    @Test("of which one joins again: it is still to be drained", arguments: [false, true])
    func drainedAndBack(isDead: Bool) async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, id: "other", register: { _ in }) { executor in
                let systemDatabase = executor.host.database
                let first = try await systemDatabase.nextBeginning()
                let second = try await systemDatabase.nextBeginning()
                _ = try await systemDatabase.join(.test(in: "slot", began: first))
                #expect(try await executor.client.drain(["slot"]) == ["slot"])
                if isDead {
                    try await database.query(
                        """
                        UPDATE {h}.executors SET state = 'dead', ended_at = now(), end_reason = 'session_lost'
                         WHERE executor_id = 'slot'
                        """
                    )
                }
                _ = try await systemDatabase.join(.test(in: "slot", began: first, life: 2))
                // Another process is asked by itself.
                _ = try await systemDatabase.join(.test(in: "slot", began: second))
                let requests = try await database.query(
                    "SELECT drain_requested FROM {h}.executors WHERE executor_id = 'slot' ORDER BY started_at"
                ).map { try $0.bool(0) }
                #expect(requests == [true, true, false])
            }
        }
    }
}

extension Member {
    /// A member that never renews.
    static func test(in executorID: String, began: Int64, life: Int32 = 1) -> Member {
        Member(
            incarnation: Incarnation(),
            began: began,
            life: life,
            executorID: executorID,
            applicationName: "test-app",
            applicationVersion: "v1",
            host: "host",
            pid: 7,
            capacity: 1,
            workflows: [],
            leaseMilliseconds: 600_000
        )
    }
}
