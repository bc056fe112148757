// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5)), .direct(because: "LISTEN needs a session"))
struct ListenerTests {
    /// Runs a listener as long as `body` and hands over its events.
    private func withListener(
        channels: [String],
        onConnect: [PostgresQuery] = [],
        _ body: (PostgresListener, ListenerEvents) async throws -> Void
    ) async throws {
        let listener = PostgresListener(
            TestDatabase.configuration(),
            channels: channels,
            onConnect: onConnect,
            logger: TestDatabase.logger
        )
        try await withThrowingTaskGroup { group in
            group.addTask { await listener.run() }
            defer { group.cancelAll() }
            try await body(listener, ListenerEvents(listener))
        }
    }

    @Test func notificationsArrive() async throws {
        let channel = TestDatabase.uniqueName("It's \"quoted\"")
        try await withListener(channels: [channel, "other"]) { _, events in
            _ = try await events.connectedPID()
            let sender = try await TestDatabase.connect()
            for payload in ["", "one", "zwei 漢字"] {
                _ = try await sender.execute(
                    PostgresQuery("select pg_notify($1, $2)", [.text(channel), .text(payload)])
                )
                guard case .notification(channel, payload) = await events.next() else {
                    return #expect(Bool(false), "\(payload) did not arrive")
                }
            }
        }
    }

    @Test func queriesRunWhileListening() async throws {
        let channel = TestDatabase.uniqueName("c")
        try await withListener(channels: [channel], onConnect: ["set application_name = 'onconnect'"]) {
            listener,
            events in
            let pid = try await events.connectedPID()
            let row = try await listener.execute("select pg_backend_pid(), current_setting('application_name')")[0]
            #expect(try row.int(0) == Int(pid))
            #expect(try row.string(1) == "onconnect")
            // Sent by the listening session itself, it comes back in the middle of the answer.
            for number in 0..<50 {
                _ = try await listener.execute(
                    PostgresQuery("select pg_notify($1, $2)", [.text(channel), .text("\(number)")])
                )
            }
            for number in 0..<50 {
                guard case .notification(channel, "\(number)") = await events.next() else {
                    return #expect(Bool(false), "\(number) did not arrive")
                }
            }
        }
    }

    @Test func aLostSessionIsNoticedAndReplaced() async throws {
        try await withListener(channels: ["c"]) { listener, events in
            let first = try await events.connectedPID()
            let observer = try await TestDatabase.connect()
            _ = try await observer.execute(PostgresQuery("select pg_terminate_backend($1)", [.int4(first)]))
            guard case .disconnected(let error) = await events.next() else {
                return #expect(Bool(false), "the loss was not noticed")
            }
            #expect(error.code == .connectionLost)
            #expect(error.sqlState == "57P01")
            let second = try await events.connectedPID()
            #expect(first != second)
            #expect(try await listener.execute("select 1")[0].int(0) == 1)
        }
    }

    @Test func withoutASessionQueriesFail() async throws {
        let listener = PostgresListener(
            PostgresConfiguration("host=127.0.0.1 port=1"),
            channels: ["c"],
            logger: TestDatabase.logger
        )
        #expect(try await postgresError { _ = try await listener.execute("select 1") }.code == .connectionLost)
    }

    @Test func cancellingEndsTheRunAndTheStream() async throws {
        for text in [TestDatabase.configuration().connectionString, "host=127.0.0.1 port=1"] {
            let listener = PostgresListener(PostgresConfiguration(text), channels: ["c"], logger: TestDatabase.logger)
            let task = Task { await listener.run() }
            task.cancel()
            await task.value
            for await _ in listener.events {}
        }
    }

    /// A reader who falls behind loses notifications, but is told to look for itself.
    @Test func overflowEndsInAReminder() async throws {
        let channel = TestDatabase.uniqueName("c")
        try await withListener(channels: [channel]) { listener, events in
            _ = try await events.connectedPID()
            _ = try await listener.execute(
                PostgresQuery("select pg_notify($1, n::text) from generate_series(1, 3000) n", [.text(channel)])
            )
            // Comes after the notifications of the query before it.
            _ = try await listener.execute("select 1")
            var isReminded = false
            var last = ""
            while last != "3000" {
                switch await events.next() {
                case .connected: isReminded = true
                case .notification(_, let payload): last = payload
                default: return #expect(Bool(false), "the stream broke")
                }
            }
            #expect(isReminded)
        }
    }
}
