// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Testing

@testable import Holdfast

/// Deaths without processes: the statement that judges them sees the same rows.
@Suite("A workflow whose executors die", .timeLimit(.minutes(5)))
struct StrikeTests {
    /// Workflows of a version that no executor has, so that only this test takes them over.
    private struct Scene: Sendable {
        let database: TestDatabase
        let systemDatabase: SystemDatabase
        let client: HoldfastClient

        /// Runs `body` with some workflows that are given up after two strikes.
        static func with(_ ids: String..., body: @Sendable (Scene) async throws -> Void) async throws {
            try await TestDatabase.with { database in
                try await withExecutor(database, id: "other", register: { _ in }) { executor in
                    let scene = Scene(
                        database: database,
                        systemDatabase: executor.host.database,
                        client: executor.client
                    )
                    for id in ids {
                        let options = EnqueueOptions(id: WorkflowID(id))
                        _ = try await executor.client.enqueue(noop, Nothing(), on: "parked", options: options)
                    }
                    try await body(scene)
                }
            }
        }

        /// One executor claims workflows, and ends so long after. They are taken over in batches.
        func die(
            _ ids: String...,
            after seconds: Int = 1,
            reason: String = "session_lost",
            batch: Int = 500
        ) async throws {
            var heir = Member.test(in: "heir", began: 1)
            heir.applicationVersion = "v9"
            let victim = Incarnation().text
            for id in ids {
                try await self.database.query(
                    """
                    UPDATE {s}.workflow_status
                       SET status = 'PENDING', executor_id = 'victim', owner_xid = $2 || '-1-x', application_version = 'v9',
                           recovery_attempts = recovery_attempts + 1,
                           started_at_epoch_ms = (extract(epoch FROM clock_timestamp()) - $3) * 1000
                     WHERE workflow_uuid = $1
                    """,
                    .text(id),
                    .text(victim),
                    .int8(Int64(seconds))
                )
            }
            try await self.database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, ended_at, end_reason)
                VALUES ($1, 'victim', 'test-app', 'v9', 'dead', 'host', 1, 1, 1000, clock_timestamp(), now(), 0,
                   clock_timestamp(), $2)
                """,
                .text(victim),
                .text(reason)
            )
            let dead = ReclaimMachine.Dead(incarnation: victim, executorID: "victim", reason: reason)
            var total = 0
            repeat {
                let report = try await self.systemDatabase.reclaim([dead], by: heir, limit: batch, quarantineAfter: 2)
                try #require(report.total > 0)
                total += report.total
            } while total < ids.count
        }

        /// "strikes decision" of each takeover.
        func verdicts(_ id: String) async throws -> [String] {
            try await self.client.takeovers(of: WorkflowID(id)).map { "\($0.strikes) \($0.decision)" }
        }

        func record(_ id: String, name: String, child: String? = nil, completedIn seconds: Int = 0) async throws {
            try await self.database.query(
                """
                INSERT INTO {s}.operation_outputs (workflow_uuid, function_id, function_name, child_workflow_id,
                   completed_at_epoch_ms, retention_timestamp)
                SELECT $1, 1 + count(*), $2, $3, (extract(epoch FROM clock_timestamp()) + $4) * 1000,
                       extract(epoch FROM clock_timestamp()) * 1000
                  FROM {s}.operation_outputs WHERE workflow_uuid = $1
                """,
                .text(id),
                .text(name),
                .text(child),
                .int8(Int64(seconds))
            )
        }
    }

    @Test("is requeued, delayed, then given up; a checkpoint forgives everything")
    func checkpoint() async throws {
        try await Scene.with("w") { scene in
            for _ in 1...2 { try await scene.die("w") }
            try await scene.record("w", name: "step")
            for _ in 1...3 { try await scene.die("w") }
            #expect(
                try await scene.verdicts("w")
                    == ["1 requeued", "2 delayed", "1 requeued", "2 delayed", "3 quarantined"]
            )
        }
    }

    enum Wait: CaseIterable { case child, sleep }

    @Test("soon although it seems to wait is given up two strikes later", arguments: Wait.allCases)
    func besideAWait(wait: Wait) async throws {
        try await Scene.with("w", "child") { scene in
            switch wait {
            case .child: try await scene.record("w", name: "child", child: "child")
            case .sleep: try await scene.record("w", name: "DBOS.sleep", completedIn: 3600)
            }
            for _ in 1...5 { try await scene.die("w") }
            #expect(
                try await scene.verdicts("w")
                    == ["1 requeued", "2 requeued", "3 requeued", "4 delayed", "5 quarantined"]
            )
        }
    }

    @Test("after it has long waited has no strike, however often, and what was before is forgotten")
    func longWait() async throws {
        try await Scene.with("w") { scene in
            try await scene.record("w", name: "DBOS.sleep", completedIn: 3600)
            for _ in 1...3 { try await scene.die("w") }
            for _ in 1...7 { try await scene.die("w", after: 90) }
            try await scene.die("w")
            #expect(
                try await scene.verdicts("w")
                    == ["1 requeued", "2 requeued", "3 requeued"] + Array(repeating: "0 requeued", count: 7)
                    + ["1 requeued"]
            )
        }
    }

    @Test("is not given up as long as a neighbour has as many strikes", arguments: [500, 1])
    func rival(batch: Int) async throws {
        try await Scene.with("bystander", "culprit", "newcomer") { scene in
            for _ in 1...4 { try await scene.die("bystander", "culprit", batch: batch) }
            try await scene.die("culprit", "newcomer", batch: batch)
            #expect(
                try await scene.verdicts("bystander") == ["1 requeued", "2 delayed", "3 delayed", "4 delayed"]
            )
            #expect(
                try await scene.verdicts("culprit")
                    == ["1 requeued", "2 delayed", "3 delayed", "4 delayed", "5 quarantined"]
            )
            #expect(try await scene.verdicts("newcomer") == ["1 requeued"])
            // Level with the culprit, it waits long enough to be parted from it.
            let wait = try await scene.database.count(
                """
                SELECT (delay_until_epoch_ms - extract(epoch FROM clock_timestamp()) * 1000)::int8 FROM {s}.workflow_status
                 WHERE workflow_uuid = 'bystander'
                """
            )
            #expect((50_000...192_000).contains(wait))
        }
    }

    @Test("is forgiven by whoever resumes it, in whatever language")
    func resumed() async throws {
        try await Scene.with("w") { scene in
            for _ in 1...3 { try await scene.die("w") }
            try await scene.database.query(
                """
                UPDATE {s}.workflow_status
                   SET status = 'ENQUEUED', queue_name = 'parked', recovery_attempts = 0, completed_at = NULL
                 WHERE workflow_uuid = 'w' AND status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'
                """
            )
            for _ in 1...3 { try await scene.die("w") }
            let cycle = ["1 requeued", "2 delayed", "3 quarantined"]
            #expect(try await scene.verdicts("w") == cycle + cycle)
        }
    }

    @Test(
        "has no strike, and no attempt, when its executor's process did not die",
        arguments: ["rejoined", "replaced"]
    )
    func noDeath(reason: String) async throws {
        try await Scene.with("w") { scene in
            try await scene.die("w")
            for _ in 1...7 { try await scene.die("w", reason: reason) }
            try await scene.die("w")
            #expect(
                try await scene.verdicts("w")
                    == ["1 requeued"] + Array(repeating: "0 requeued", count: 7) + ["2 delayed"]
            )
            #expect(try await scene.client.workflow("w").recoveryAttempts == 2)
        }
    }
}
