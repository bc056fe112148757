// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import TestSupport
import Testing

@testable import HoldfastPostgres

/// The way to the server falls silent: no byte, no end of a connection, as behind a broken router.
@Suite(.timeLimit(.minutes(5))) struct AbandonmentTests {
    private func withProxy(
        _ body: (TCPProxy, PostgresConfiguration, _ observer: PostgresConnection) async throws -> Void
    ) async throws {
        let direct = TestDatabase.configuration()
        let observer = try await PostgresConnection.connect(direct, logger: TestDatabase.logger)
        let server = try #require(URL(string: direct.connectionString)?.port)
        try await TCPProxy.with(to: UInt16(server)) { proxy in
            var configuration = direct
            configuration.connectionString = direct.connectionString.replacing(":\(server)", with: ":\(proxy.port)")
            try await body(proxy, configuration, observer)
        }
    }

    @Test func whatRunsAndWhatIsIdleIsGivenUpAndReplaced() async throws {
        try await withProxy { proxy, configuration, _ in
            try await TestDatabase.withPool(configuration, size: 2) { pool in
                let held = try await pool.acquire()
                let first = try await pool.execute("select pg_backend_pid()")[0].int(0)
                proxy.become(.silent)
                let running = Task { try await held.execute("select 1") }
                let alsoRunning = Task { try await pool.execute("select 1") }
                try await eventually { pool.counts.lent == 2 }
                proxy.forgetConnections()
                pool.abandonConnections()
                let errors = [
                    try await postgresError { _ = try await running.value },
                    try await postgresError { _ = try await alsoRunning.value },
                ]
                #expect(errors.map(\.code) == [.connectionLost, .connectionLost])
                #expect(errors.map(\.isTransient) == [true, true])
                pool.release(held)
                let second = try await pool.execute("select pg_backend_pid()")[0].int(0)
                // A pooler may have the same server process work for both.
                #expect(second != first || TestServer.isPooled)
            }
        }
    }

    @Test func aPoolIsClosedWithoutWaitingForTheServer() async throws {
        try await withProxy { proxy, configuration, _ in
            try await TestDatabase.withPool(configuration, size: 1) { pool in
                _ = try await pool.execute("select 1")
                proxy.become(.silent)
                let running = Task { try await pool.execute("select 1") }
                try await eventually { pool.counts.lent == 1 }
                let waiting = Task { try await pool.execute("select 1") }
                try await eventually { pool.counts.waiting == 1 }
                pool.closeNow()
                #expect(try await postgresError { _ = try await running.value }.code == .connectionLost)
                #expect(try await postgresError { _ = try await waiting.value }.code == .poolClosed)
                await pool.close()
            }
        }
    }

    @Test(.direct(because: "LISTEN needs a session"))
    func aListenerComesBack() async throws {
        try await withProxy { proxy, configuration, _ in
            let listener = PostgresListener(configuration, channels: ["c"], logger: TestDatabase.logger)
            let events = ListenerEvents(listener)
            try await withThrowingTaskGroup { group in
                group.addTask { await listener.run() }
                let first = try await events.connectedPID()
                proxy.become(.silent)
                let running = Task { try await listener.execute("select 1") }
                listener.abandonConnection()
                #expect(try await postgresError { _ = try await running.value }.code == .connectionLost)
                guard case .disconnected = await events.next() else {
                    return #expect(Bool(false), "nobody was told of the loss")
                }
                proxy.forgetConnections()
                #expect(try await events.connectedPID() != first)
                group.cancelAll()
            }
        }
    }

    @Test(.direct(because: "LISTEN needs a session"))
    func aListenerDoesNotWaitWithoutEndForItsBeginning() async throws {
        try await withProxy { proxy, configuration, observer in
            var configuration = configuration
            configuration.applicationName = TestDatabase.uniqueName("begins")
            configuration.connectTimeout = .milliseconds(300)
            // Holds what the listener wants first, so that it is connected and waits.
            let key = Int64.random(in: .min ... .max)
            let take = PostgresQuery("select pg_advisory_lock($1)", [.int8(key)])
            _ = try await observer.execute(take)
            let listener = PostgresListener(
                configuration,
                channels: ["c"],
                onConnect: [take],
                logger: TestDatabase.logger
            )
            let events = ListenerEvents(listener)
            try await withThrowingTaskGroup { group in
                group.addTask { await listener.run() }
                let isWaiting = PostgresQuery(
                    "select 1 from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'",
                    [.text(configuration.applicationName)]
                )
                while try await observer.execute(isWaiting).isEmpty { try Task.checkCancellation() }
                proxy.forgetConnections()
                _ = try await observer.execute(PostgresQuery("select pg_advisory_unlock($1)", [.int8(key)]))
                // The first session has the lock now and tells nobody; it is ended so that the next one gets it.
                while try await observer.execute(
                    PostgresQuery(
                        """
                        select pg_terminate_backend(pid) from pg_stat_activity
                         where application_name = $1 and state = 'idle'
                        """,
                        [.text(configuration.applicationName)]
                    )
                ).isEmpty { try Task.checkCancellation() }
                _ = try await events.connectedPID()
                group.cancelAll()
            }
        }
    }
}
