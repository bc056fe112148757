// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5)))
struct CancellationTests {
    @Test func aRunningQueryIsCancelled() async throws {
        let connection = try await TestDatabase.connect()
        async let outcome = postgresError { _ = try await connection.execute("select pg_sleep(600)") }
        try await TestDatabase.waitUntilRunning("pg_sleep(600)")
        connection.cancelRunningQuery()
        let error = try await outcome
        #expect(error.code == .server)
        #expect(error.sqlState == "57014")
        #expect(!error.isTransient)
        #expect(try await connection.execute("select 1")[0].int(0) == 1)
    }

    @Test func cancellingTheTaskCancelsTheQuery() async throws {
        let connection = try await TestDatabase.connect()
        let task = Task { try await connection.executeCancellable("select pg_sleep(601)") }
        try await TestDatabase.waitUntilRunning("pg_sleep(601)")
        task.cancel()
        #expect(try await postgresError { _ = try await task.value }.code == .cancelled)
        #expect(try await connection.execute("select 1")[0].int(0) == 1)
    }

    @Test func anOrdinaryQueryFinishesInACancelledTask() async throws {
        let connection = try await TestDatabase.connect()
        let key = Int64.random(in: .min ... .max)
        let blocker = try await TestDatabase.connect()
        let lock = PostgresQuery("select pg_advisory_xact_lock(\(key))")
        _ = try await blocker.execute("begin")
        _ = try await blocker.execute(lock)
        let task = Task { try await connection.execute(lock) }
        try await TestDatabase.waitUntilRunning("pg_advisory_xact_lock(\(key))")
        task.cancel()
        await blocker.close()
        #expect(try await task.value.count == 1)
    }

    @Test func aQueryThatHasNotStartedNeverStarts() async throws {
        let connection = try await TestDatabase.connect()
        let table = TestDatabase.uniqueName("never")
        async let blocking = postgresError { _ = try await connection.execute("select pg_sleep(602)") }
        try await TestDatabase.waitUntilRunning("pg_sleep(602)")
        let task = Task { try await connection.executeCancellable(PostgresQuery("create table \(table) (id int)")) }
        task.cancel()
        #expect(try await postgresError { _ = try await task.value }.code == .cancelled)
        connection.cancelRunningQuery()
        _ = try await blocking
        let found = try await connection.execute(PostgresQuery("select to_regclass($1)::text", [.text(table)]))
        #expect(try found[0].optionalString(0) == nil)
    }

    @Test func aCancelRequestNeverHitsTheNextQuery() async throws {
        let connection = try await TestDatabase.connect()
        for _ in 0..<100 {
            let task = Task { try await connection.executeCancellable("select 1") }
            task.cancel()
            _ = await task.result
            #expect(try await connection.execute("select pg_sleep(0.001), 2")[0].int(1) == 2)
        }
    }

    /// The request may reach the server before the query does.
    @Test func aCancelRequestThatComesTooEarlyIsRepeated() async throws {
        let connection = try await TestDatabase.connect()
        for _ in 0..<20 {
            let task = Task { try await connection.executeCancellable("select pg_sleep(604)") }
            await Task.yield()
            task.cancel()
            #expect(try await postgresError { _ = try await task.value }.code == .cancelled)
        }
    }

    @Test func cancellingNothingDoesNothing() async throws {
        let connection = try await TestDatabase.connect()
        connection.cancelRunningQuery()
        #expect(try await connection.execute("select 1")[0].int(0) == 1)
    }
}
