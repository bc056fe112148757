// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct RestartTests {
    @Test func poolAndListenerComeBack() async throws {
        try await TemporaryPostgres.withServer { server in
            let configuration = PostgresConfiguration(server.string())
            let listener = PostgresListener(configuration, channels: ["c"], logger: TestDatabase.logger)
            try await TestDatabase.withPool(configuration, size: 3) { pool in
                try await withThrowingTaskGroup { group in
                    group.addTask { await listener.run() }
                    defer { group.cancelAll() }
                    let events = ListenerEvents(listener)
                    let first = try await events.connectedPID()
                    let idle = try await pool.withConnection { $0 }

                    try await server.stop()
                    guard case .disconnected(let loss) = await events.next() else {
                        return #expect(Bool(false), "the loss was not noticed")
                    }
                    #expect(loss.isTransient)
                    _ = await idle.ended()
                    let refused = try await postgresError { _ = try await pool.execute("select 1") }
                    #expect(refused.code == .connectionFailed)
                    #expect(refused.isTransient)
                    let lost = try await postgresError { _ = try await listener.execute("select 1") }
                    #expect(lost.code == .connectionLost)

                    try await server.start()
                    // The first queries may meet a server that is still starting.
                    while true {
                        do {
                            #expect(try await pool.execute("select 1")[0].int(0) == 1)
                            break
                        } catch let error as PostgresError where error.isTransient {
                            continue
                        }
                    }
                    let second = try await events.connectedPID()
                    #expect(first != second)
                    _ = try await pool.execute("select pg_notify('c', 'back')")
                    guard case .notification("c", "back") = await events.next() else {
                        return #expect(Bool(false), "the notification did not arrive")
                    }
                }
            }
        }
    }
}
