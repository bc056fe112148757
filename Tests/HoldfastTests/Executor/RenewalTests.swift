// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Logging
import TestSupport
import Testing

@Suite("The renewals of an executor", .timeLimit(.minutes(5)))
struct RenewalTests {
    private static let work = WorkflowReference<Nothing, Nothing>("w")

    /// Runs an executor whose lease session, or everything, goes through a proxy.
    private static func withProxy(
        sessionOnly: Bool,
        sessionOptions: String = "",
        logger: (TCPProxy) -> Logger = { _ in TestDatabase.logger },
        _ test: @Sendable (TestDatabase, TCPProxy, HoldfastExecutor) async throws -> Void
    ) async throws {
        try await TestDatabase.with { shared in
            let direct = shared.configuration.directURL ?? shared.configuration.url
            let port = try #require(URL(string: direct)?.port)
            try await TCPProxy.with(to: UInt16(port)) { proxy in
                let detour = direct.replacing(":\(port)/", with: ":\(proxy.port)/")
                var configuration = shared.configuration
                configuration.directURL = detour + sessionOptions
                if !sessionOnly {
                    configuration.url = detour
                    configuration.isPooled = false
                }
                try await withExecutor(
                    TestDatabase(configuration: configuration, pool: shared.pool),
                    id: "one",
                    queues: [Queue("q")],
                    configure: {
                        $0.heartbeat = .milliseconds(100)
                        $0.selfStop = .milliseconds(1500)
                        $0.lease = .seconds(3)
                    },
                    logger: logger(proxy),
                    register: { try $0.register(Self.work) { _, _ in Nothing() } }
                ) { executor in
                    try await Self.untilSession(shared, isHeld: true)
                    try await test(shared, proxy, executor)
                }
            }
        }
    }

    private static func untilSession(_ database: TestDatabase, isHeld: Bool) async throws {
        try await database.until(
            """
            SELECT count(*) FROM {h}.executors
             WHERE state = 'active' AND (session_server_epoch IS NOT NULL) = \(isHeld)
            """,
            is: 1
        )
    }

    @Test("go through the pool when the lease session falls silent, and a session that stays silent is replaced")
    func silentSession() async throws {
        try await Self.withProxy(sessionOnly: true) { database, proxy, executor in
            proxy.become(.silent)
            // For longer than the self-stop; then the session is given up, of which the database hears first.
            try await Self.untilSession(database, isHeld: false)
            _ = try await executor.client.enqueue(Self.work, Nothing(), on: "q").result()
            proxy.become(.closed)
            proxy.become(.open)
            try await Self.untilSession(database, isHeld: true)
            _ = try await executor.client.enqueue(Self.work, Nothing(), on: "q").result()
            #expect(try await database.count("SELECT count(*) FROM {h}.executors") == 1, "it has had one life")
        }
    }

    @Test("tell of a lease session again, however short the time-outs of the role are")
    func impatientSession() async throws {
        let book = LogBook()
        let options = "?options=-c%20lock_timeout%3D20%20-c%20statement_timeout%3D200"
        try await Self.withProxy(sessionOnly: true, sessionOptions: options, logger: { _ in book.logger }) {
            database,
            proxy,
            _ in
            let key = try await database.count("SELECT lock_key FROM {h}.executors")
            let lock = "SELECT pg_advisory_xact_lock(\(key))"
            async let cut: Void = {
                try await database.untilBlocked(lock)
                proxy.become(.closed)
                proxy.become(.open)
            }()
            // As the former session, of whose end the server does not know.
            try await database.holding(lock) {
                try await until("two tries") { book.lines.count { $0.message == "no lease session yet" } >= 2 }
            }
            try await cut
            try await Self.untilSession(database, isHeld: true)
        }
    }

    @Test("wait with the next life until all of the former is over, however long that takes")
    func slowFence() async throws {
        let stalled = Diary()
        try await Self.withProxy(
            sessionOnly: false,
            logger: { proxy in
                let book = LogBook { message in
                    guard message == "this executor stops its work and joins again", stalled.events.isEmpty else {
                        return
                    }
                    stalled.note("began")
                    proxy.become(.open)
                    // As a process that gets no processor. Long enough to join ten times.
                    Thread.sleep(forTimeInterval: 1)
                    stalled.note("ended")
                }
                return book.logger
            }
        ) { database, proxy, executor in
            proxy.become(.silent)
            try await stalled.until("ended")
            try await database.until(
                "SELECT count(*) FROM {h}.executors WHERE state = 'active' AND life > 1",
                is: 1
            )
            _ = try await executor.client.enqueue(Self.work, Nothing(), on: "q").result()
        }
    }
}
