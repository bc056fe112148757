// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct TransactionTests {
    private struct Deliberate: Error {}

    /// A pool of one connection, and statements that insert a row into a table and count its rows.
    private static func withTableAndPool(
        _ columns: String,
        _ body: (_ insert: PostgresQuery, _ count: PostgresQuery, PostgresPool) async throws -> Void
    ) async throws {
        try await TestDatabase.withTable(columns) { table in
            try await TestDatabase.withPool(size: 1) { pool in
                let insert = PostgresQuery("insert into \(table) values (1)")
                try await body(insert, PostgresQuery("select count(*) from \(table)"), pool)
            }
        }
    }

    private func failure(
        _ pool: PostgresPool,
        _ body: (PostgresConnection) async throws -> Void
    ) async throws -> PostgresTransactionError {
        try #require(await #expect(throws: PostgresTransactionError.self) { try await pool.withTransaction(body) })
    }

    @Test func aTransactionCommits() async throws {
        try await Self.withTableAndPool("(id int)") { insert, count, pool in
            let seen = try await pool.withTransaction(isolation: .serializable) { connection in
                #expect(connection.isInTransaction)
                _ = try await connection.execute(insert)
                #expect(try await connection.execute("show transaction_isolation")[0].string(0) == "serializable")
                return try await connection.execute(count)[0].int(0)
            }
            #expect(seen == 1)
            #expect(try await pool.execute(count)[0].int(0) == 1)
        }
    }

    @Test func aThrowingBodyRollsBack() async throws {
        try await Self.withTableAndPool("(id int)") { insert, count, pool in
            let failure = try await failure(pool) { connection in
                _ = try await connection.execute(insert)
                throw Deliberate()
            }
            #expect(failure.bodyError is Deliberate)
            #expect(failure.rollbackError == nil && failure.beginError == nil && failure.commitError == nil)
            #expect(try await pool.execute(count)[0].int(0) == 0)
        }
    }

    @Test func aFailingRollbackIsKeptApart() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            let failure = try await failure(pool) { connection in
                _ = try? await connection.execute("select pg_terminate_backend(pg_backend_pid())")
                throw Deliberate()
            }
            #expect(failure.bodyError is Deliberate)
            #expect(failure.rollbackError?.code == .connectionLost)
            #expect(!failure.isTransient)
            #expect(try await pool.execute("select 1")[0].int(0) == 1)
        }
    }

    @Test func aFailingCommitIsKeptApart() async throws {
        let columns = "(id int constraint later unique deferrable initially deferred)"
        try await Self.withTableAndPool(columns) { insert, count, pool in
            let failure = try await failure(pool) { connection in
                _ = try await connection.pipeline([insert, insert])
            }
            #expect(failure.bodyError == nil)
            #expect(failure.commitError?.sqlState == "23505")
            #expect(failure.commitError?.constraint == "later")
            #expect(try await pool.execute(count)[0].int(0) == 0)
        }
    }

    /// The server answers ROLLBACK to such a commit, and calls it a success.
    @Test func aSwallowedErrorDoesNotLookLikeACommit() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            let failure = try await failure(pool) { connection in
                _ = try? await connection.execute("select 1/0")
            }
            #expect(failure.commitError?.code == .server)
            #expect(try await pool.execute("select 1")[0].int(0) == 1)
        }
    }

    @Test func aTransactionThatCannotBegin() async throws {
        try await TestDatabase.withPool(PostgresConfiguration("host=127.0.0.1 port=1"), size: 1) { pool in
            let failure = try await failure(pool) { _ in }
            #expect(failure.beginError?.code == .connectionFailed)
            #expect(failure.isTransient)
        }
    }

    @Test func aConnectionWithAnOpenTransactionIsNotLentAgain() async throws {
        try await TestDatabase.withPool(size: 1) { pool in
            let first = try await pool.withConnection { connection in
                _ = try await connection.execute("begin")
                return connection.backendPID
            }
            let second = try await pool.withConnection { connection in
                #expect(!connection.isInTransaction)
                return connection.backendPID
            }
            #expect(first != second)
        }
    }
}
