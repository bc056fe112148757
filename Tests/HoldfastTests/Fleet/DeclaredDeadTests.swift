// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("A member that was declared dead without knowing it", .timeLimit(.minutes(5)))
struct DeclaredDeadTests {
    private static let ownerIsAlive = WorkflowReference<Nothing, Bool>("owner-is-alive")

    @Test("claims nothing until it has joined again")
    func claimsNothing() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, queues: [Queue("work")]) { configuration in
                // Time for a claim before the renewal that brings the news.
                configuration.heartbeat = .seconds(3)
                configuration.selfStop = .seconds(20)
                configuration.lease = .seconds(30)
            } register: { registry in
                try registry.register(Self.ownerIsAlive) { _, context in
                    let id = context.id.rawValue
                    return try await context.step("look") { _ in
                        try await database.count(
                            """
                            SELECT count(*) FROM {s}.workflow_status s
                              JOIN {h}.executors e ON e.incarnation = left(s.owner_xid, 16)
                             WHERE s.workflow_uuid = $1 AND e.state = 'active'
                            """,
                            .text(id)
                        ) == 1
                    }
                }
            } _: { executor in
                // Two renewals have passed: that of the join, and that of the lease session.
                if database.hasSession {
                    try await database.until(
                        "SELECT count(*) FROM {h}.executors WHERE session_server_epoch IS NOT NULL",
                        is: 1
                    )
                }
                try await database.query(
                    """
                    UPDATE {h}.executors SET state = 'dead', ended_at = clock_timestamp(), ended_by = 'test',
                           end_reason = 'lease_expired', reclaimed_at = clock_timestamp()
                    """
                )
                try await withClient(database) { client in
                    let handle = try await client.enqueue(Self.ownerIsAlive, Nothing(), on: "work")
                    #expect(try await handle.result())
                }
            }
        }
    }

    @Test("and left a directly started workflow behind after its work was reclaimed: it is found and run")
    func lateStart() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, queues: [Queue("work")]) { configuration in
                configuration.heartbeat = .milliseconds(200)
            } register: { registry in
                try registry.register(noop) { _, _ in Nothing() }
            } _: { executor in
                try await database.query(
                    """
                    INSERT INTO {h}.executors
                      (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                       lease_ms, renewed_at, lease_expires_at, lock_key, workflows, ended_at, end_reason, reclaimed_at)
                    SELECT repeat('0', 16), 'gone', application_name, application_version, 'dead', host, pid, capacity,
                       lease_ms, now(), now(), 0, workflows, now(), 'lease_expired', now() FROM {h}.executors
                    """
                )
                try await withClient(database) { client in
                    let handle = try await client.enqueue(noop, Nothing(), on: "elsewhere", options: .init(id: "w"))
                    try await database.query(
                        """
                        UPDATE {s}.workflow_status
                           SET status = 'PENDING', queue_name = NULL, executor_id = 'gone', application_version = 'v1',
                               owner_xid = repeat('0', 16) || '-1-x', recovery_attempts = 1
                         WHERE workflow_uuid = 'w'
                        """
                    )
                    let systemDatabase = executor.host.database
                    #expect(try await systemDatabase.reviewEnded(applicationName: "test-app") == 1)
                    _ = try await handle.result()
                    #expect(try await client.takeovers(of: "w").map(\.from) == ["gone"])
                    #expect(try await systemDatabase.reviewEnded(applicationName: "test-app") == 0)
                }
            }
        }
    }

    @Test("and owns nothing is off the list of those who may, whatever its version")
    func ofAnotherVersion() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, register: { _ in }) { executor in
                try await database.query(
                    """
                    INSERT INTO {h}.executors
                      (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                       lease_ms, renewed_at, lease_expires_at, lock_key, ended_at, end_reason)
                    SELECT repeat(digit, 16), 'gone', 'test-app', 'v0', 'dead', 'host', 1, 1, 1000, now(), now(), 0, now(),
                       'lease_expired' FROM unnest(ARRAY['0', '1']) AS digit
                    """
                )
                _ = try await executor.client.enqueue(noop, Nothing(), on: "parked", options: .init(id: "w"))
                try await database.query(
                    """
                    UPDATE {s}.workflow_status SET status = 'PENDING', executor_id = 'gone', application_version = 'v0',
                           owner_xid = repeat('1', 16) || '-1-x'
                    """
                )
                _ = try await executor.host.database.reviewEnded(applicationName: "test-app")
                let listed = try await database.query(
                    "SELECT incarnation FROM {h}.executors WHERE executor_id = 'gone' AND reclaimed_at IS NULL"
                ).map { try $0.string(0) }
                #expect(listed == [String(repeating: "1", count: 16)])
            }
        }
    }
}
