// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

@Suite("A reclaim in several batches", .timeLimit(.minutes(10)))
struct InterruptedReclaimTests {
    /// Two batches and a rest.
    private static let count = 1200

    /// Leaves the work of an executor that died, and runs `body` while a reclaim is stuck in the middle of its first batch.
    private static func withStuckReclaim(_ fleet: Fleet, _ body: () async throws -> Void) async throws {
        try await fleet.enqueueMany(Self.count, on: "parked")
        try await fleet.database.query(
            """
            UPDATE {s}.workflow_status
               SET status = 'PENDING', queue_name = 'work', executor_id = 'gone', application_version = 'v1',
                   owner_xid = repeat('0', 16) || '-1-x', recovery_attempts = 1
            """
        )
        try await fleet.holdingReclaims {
            try await fleet.database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, ended_at, end_reason)
                VALUES (repeat('0', 16), 'gone', 'test-app', 'v1', 'dead', 'host', 1, 1, 1000, now(), now(), 0, now(),
                   'session_lost')
                """
            )
            try await fleet.untilReclaimIsHeld()
            try await body()
        }
    }

    /// Everything was taken over once and run once, and the dead is buried.
    private static func check(_ fleet: Fleet) async throws {
        try await fleet.database.until(
            "SELECT count(*) FROM {s}.workflow_status WHERE status = 'SUCCESS' AND recovery_attempts = 2",
            is: Self.count
        )
        #expect(Set(fleet.folder.lines().map { $0.split(separator: " ")[1] }).count == Self.count)
        #expect(fleet.folder.lines().count == Self.count)
        let takeovers = try #require(
            try await fleet.database.query(
                "SELECT count(*), count(DISTINCT workflow_uuid), max(strikes) FROM {h}.takeovers"
            ).first
        )
        #expect(try [takeovers.int(0), takeovers.int(1), takeovers.int(2)] == [Self.count, Self.count, 1])
        try await fleet.database.until(
            "SELECT count(*) FROM {h}.executors WHERE executor_id = 'gone' AND reclaimed_at IS NOT NULL",
            is: 1
        )
    }

    @Test(
        "whose executor is killed in the middle of a batch, or after it, is completed by another; nothing is counted twice",
        arguments: [false, true]
    )
    func killed(commits: Bool) async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: .longLease)
            try await Self.withStuckReclaim(fleet) {
                await first.killNow()
                // The server's process does not notice and commits its batch, or it ends and the batch is rolled back.
                guard !commits else { return }
                try await fleet.database.query(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE wait_event_type = 'Lock' AND query LIKE '\(Fleet.reclaim)'
                    """
                )
            }
            let batch = commits ? 500 : 0
            try await fleet.database.until("SELECT count(*) FROM {h}.takeovers", is: batch)
            _ = try await fleet.start("two", timing: .longLease)
            try await Self.check(fleet)
            let byFirst = try await fleet.database.count(
                "SELECT count(*) FROM {h}.takeovers WHERE by_executor_id = 'one'"
            )
            #expect(byFirst == batch)
        }
    }

    enum Drain: CaseIterable, Sendable { case byOperator, bySignal }

    @Test("whose executor is drained meanwhile gives it no new work; the others do it all", arguments: Drain.allCases)
    func drained(drain: Drain) async throws {
        try await Fleet.with { fleet in
            let first = try await fleet.start("one", timing: .longLease)
            try await Self.withStuckReclaim(fleet) {
                switch drain {
                case .byOperator:
                    try await fleet.client.drain(["one"])
                    try await until("it is draining") { try await fleet.lives(of: "one") == ["draining"] }
                case .bySignal:
                    first.signal(SIGTERM)
                    // It does not wait for its reclaim.
                    #expect(await first.ended() == 0)
                    #expect(try await fleet.lives(of: "one") == ["stopped shutdown"])
                }
                _ = try await fleet.start("two", timing: .longLease)
            }
            try await Self.check(fleet)
            #expect(fleet.folder.lines().allSatisfy { $0.hasSuffix(" two") })
            let byFirst = try await fleet.database.count(
                "SELECT count(*) FROM {s}.workflow_status WHERE executor_id <> 'two'"
            )
            #expect(byFirst == 0)
        }
    }
}
