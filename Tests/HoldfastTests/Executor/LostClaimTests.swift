// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import TestSupport
import Testing

@Suite("A claim whose answer is lost", .timeLimit(.minutes(5)))
struct LostClaimTests {
    private static let work = WorkflowReference<Nothing, Nothing>("w")
    private static let filler = WorkflowReference<Nothing, Nothing>("filler")

    /// Runs an executor with one slot, whose first claim of a workflow `w` is committed without an answer.
    ///
    /// - Parameter meanwhile: What happens while the claim is under way.
    private static func withLostClaim(
        _ meanwhile: @Sendable (TestDatabase, HoldfastExecutor) async throws -> Void,
        then test: @Sendable (TestDatabase, HoldfastExecutor) async throws -> Void
    ) async throws {
        try await TestDatabase.with { shared in
            let port = try #require(URL(string: shared.configuration.url)?.port)
            try await TCPProxy.with(to: UInt16(port)) { proxy in
                var configuration = shared.configuration
                configuration.url = configuration.url.replacing(":\(port)/", with: ":\(proxy.port)/")
                let door = Door()
                defer { door.open() }
                try await withExecutor(
                    TestDatabase(configuration: configuration, pool: shared.pool),
                    id: "one",
                    queues: [Queue("q")],
                    configure: {
                        $0.maxConcurrentWorkflows = 1
                        $0.heartbeat = .milliseconds(100)
                        $0.selfStop = .seconds(500)
                        $0.lease = .seconds(600)
                    },
                    register: {
                        try $0.register(Self.work) { _, _ in Nothing() }
                        try $0.register(Self.filler) { _, _ in
                            try await door.pass()
                            return Nothing()
                        }
                    }
                ) { executor in
                    defer { door.open() }
                    try await Self.loseAnswer(shared, proxy) { try await meanwhile(shared, executor) }
                    try await test(shared, executor)
                }
            }
        }
    }

    private static func loseAnswer(
        _ database: TestDatabase,
        _ proxy: TCPProxy,
        _ meanwhile: () async throws -> Void
    ) async throws {
        try await database.query(
            """
            CREATE FUNCTION {h}.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              PERFORM pg_advisory_xact_lock_shared(hashtext('{h}'));
              RETURN NEW;
            END $$
            """
        )
        try await database.query(
            """
            CREATE TRIGGER wait_for_test BEFORE UPDATE ON {s}.workflow_status FOR EACH ROW
              WHEN (OLD.status = 'ENQUEUED' AND NEW.status = 'PENDING') EXECUTE FUNCTION {h}.wait_for_test()
            """
        )
        try await database.holding("SELECT pg_advisory_xact_lock(hashtext('{h}'))") {
            try await withClient(database) { client in
                _ = try await client.enqueue(Self.work, Nothing(), on: "q", options: .init(id: "w"))
            }
            try await database.untilBlocked("WITH budgets AS%{s}%")
            try await meanwhile()
            proxy.forgetConnections()
        }
        try await database.until("w", is: .pending)
        try await database.query("DROP FUNCTION {h}.wait_for_test CASCADE")
        proxy.become(.closed)
        proxy.become(.open)
    }

    @Test("goes back to its queue although there is no room for another one")
    func full() async throws {
        try await Self.withLostClaim { database, executor in
            _ = try await executor.client.start(Self.filler, Nothing(), options: .init(id: "filler"))
            try await database.until("filler", is: .pending)
        } then: { database, _ in
            try await database.until("w", is: .enqueued)
            #expect(try await database.status(of: "filler") == "PENDING")
        }
    }

    @Test("goes back to its queue although the executor was drained meanwhile")
    func drained() async throws {
        try await Self.withLostClaim { database, executor in
            try await executor.client.drain(["one"])
            try await database.until("SELECT count(*) FROM {h}.executors WHERE state = 'draining'", is: 1)
        } then: { database, _ in
            try await database.until("w", is: .enqueued)
        }
    }
}
