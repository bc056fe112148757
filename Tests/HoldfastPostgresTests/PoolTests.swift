// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization
import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct PoolTests {
    @Test(.direct(because: "a pooler hides which server process works for whom"))
    func manyTasksShareFewConnections() async throws {
        try await TestDatabase.withPool(size: 4) { pool in
            let pids = try await withThrowingTaskGroup { group in
                for number in 0..<200 {
                    group.addTask {
                        let row = try await pool.execute(
                            PostgresQuery("select $1, pg_backend_pid()", [.int8(Int64(number))])
                        )[0]
                        #expect(try row.int(0) == number)
                        return try row.int(1)
                    }
                }
                return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
            }
            #expect(pids.count <= 4)
            #expect(pool.counts.lent == 0 && pool.counts.waiting == 0)
        }
    }

    @Test func waitersAreServedInTheirOrder() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            let order = Order()
            let held = try await pool.acquire()
            try await withThrowingTaskGroup { group in
                for number in 0..<10 {
                    group.addTask { try await pool.withConnection { _ in order.append(number) } }
                    try await eventually { pool.counts.waiting == number + 1 }
                }
                pool.release(held)
                try await group.waitForAll()
            }
            #expect(order.numbers == Array(0..<10))
        }
    }

    private final class Order: Sendable {
        private let state = Mutex<[Int]>([])
        var numbers: [Int] { state.withLock { $0 } }
        func append(_ number: Int) { state.withLock { $0.append(number) } }
    }

    @Test func aCancelledWaiterLeaves() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            try await pool.withConnection { _ in
                let waiting = Task { try await pool.execute("select 1") }
                try await eventually { pool.counts.waiting == 1 }
                waiting.cancel()
                let error = try await postgresError { _ = try await waiting.value }
                #expect(error.code == .cancelled)
                #expect(pool.counts.waiting == 0)
            }
            #expect(try await pool.execute("select 1")[0].int(0) == 1)
        }
    }

    @Test func aTaskCancelledBeforehandDoesNotWait() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            try await pool.withConnection { _ in
                let error = try await withThrowingTaskGroup(of: Void.self) { group in
                    group.cancelAll()
                    group.addTask { _ = try await pool.execute("select 1") }
                    return try await postgresError { try await group.waitForAll() }
                }
                #expect(error.code == .cancelled)
            }
        }
    }

    @Test func waitingEndsWithATimeOut() async throws {
        let silent = try SilentListener()
        let configuration = PostgresConfiguration("host=127.0.0.1 port=\(silent.port)")
        try await TestDatabase.withPool(configuration, size: 1, checkoutTimeout: .milliseconds(20)) { pool in
            let error = try await postgresError { _ = try await pool.execute("select 1") }
            #expect(error.code == .poolTimeout)
            #expect(error.isTransient)
            #expect(error.message.contains("0 of 1 in use, 1 being made"))
        }
    }

    @Test func closingFailsWaitersAndWaitsForTheRest() async throws {
        let pool = PostgresPool(TestDatabase.configuration(), size: 1, logger: TestDatabase.logger)
        let held = try await pool.acquire()
        let waiting = Task { try await pool.execute("select 1") }
        try await eventually { pool.counts.waiting == 1 }
        async let closed: Void = pool.close()
        #expect(try await postgresError { _ = try await waiting.value }.code == .poolClosed)
        // What is lent still works.
        #expect(try await held.execute("select 1")[0].int(0) == 1)
        pool.release(held)
        await closed
        #expect(!held.isUsable)
        #expect(try await postgresError { _ = try await pool.execute("select 1") }.code == .poolClosed)
        await pool.close()
    }

    @Test func closingGivesUpAConnectionInTheMaking() async throws {
        let silent = try SilentListener()
        var configuration = PostgresConfiguration("host=127.0.0.1 port=\(silent.port)")
        configuration.connectTimeout = .seconds(600)
        let pool = PostgresPool(configuration, size: 1, logger: TestDatabase.logger)
        let waiting = Task { try await pool.execute("select 1") }
        try await eventually { pool.counts.beingMade == 1 }
        await pool.close()
        #expect(try await postgresError { _ = try await waiting.value }.code == .poolClosed)
    }

    @Test func errorsOfTheBodyComeOutUnchanged() async throws {
        struct Deliberate: Error {}
        try await TestDatabase.withPool(size: 1) { pool in
            await #expect(throws: Deliberate.self) { try await pool.withConnection { _ in throw Deliberate() } }
            #expect(pool.counts.lent == 0)
        }
    }

    @Test(.direct(because: "a pooler hides which server process works for whom"))
    func aTerminatedConnectionIsReplaced() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            let first = try await pool.execute("select pg_backend_pid()")[0].int(0)
            let error = try await postgresError {
                _ = try await pool.execute("select pg_terminate_backend(pg_backend_pid())")
            }
            #expect(error.code == .connectionLost)
            #expect(error.sqlState == "57P01")
            #expect(error.isTransient)
            #expect(try await pool.execute("select pg_backend_pid()")[0].int(0) != first)
        }
    }

    @Test(.direct(because: "a pooler hides which server process works for whom"))
    func anIdleConnectionThatBreaksIsNotLent() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            let first = try await pool.withConnection { $0 }
            let observer = try await TestDatabase.connect()
            _ = try await observer.execute(PostgresQuery("select pg_terminate_backend($1)", [.int4(first.backendPID)]))
            let reason = await first.ended()
            #expect(reason.code == .connectionLost)
            #expect(reason.sqlState == "57P01")
            #expect(try await pool.execute("select pg_backend_pid()")[0].int(0) != Int(first.backendPID))
        }
    }
}
