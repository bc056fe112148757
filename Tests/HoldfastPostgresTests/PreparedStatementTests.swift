// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5)), .direct(because: "prepared statements belong to a session"))
struct PreparedStatementTests {
    private let prepared: PostgresQuery = "select statement from pg_prepared_statements order by prepare_time, name"

    private func statements(_ connection: PostgresConnection) async throws -> [String] {
        try await connection.execute(prepared).map { try $0.string(0) }
    }

    @Test func aStatementIsPreparedOncePerConnection() async throws {
        let connection = try await TestDatabase.connect()
        for number in 0..<3 {
            _ = try await connection.execute(PostgresQuery("select $1", [.int4(Int32(number))]))
        }
        _ = try await connection.pipeline((0..<10).map { PostgresQuery("select $1", [.int4($0)]) })
        #expect(try await statements(connection).filter { $0 == "select $1" }.count == 1)
        _ = try await connection.execute(PostgresQuery("select $1", [.text("another type")]))
        #expect(try await statements(connection).filter { $0 == "select $1" }.count == 2)
    }

    @Test func unnamedStatementsLeaveNothingOnTheServer() async throws {
        let connection = try await TestDatabase.connect { $0.preparesStatements = false }
        for number in 0..<3 {
            let result = try await connection.execute(PostgresQuery("select $1", [.int4(Int32(number))]))
            #expect(try result[0].int(0) == Int(number))
        }
        let results = try await connection.pipeline((0..<10).map { PostgresQuery("select $1", [.int4($0)]) })
        #expect(try results[9][0].int(0) == 9)
        #expect(try await statements(connection).isEmpty)
        let error = try await postgresError { _ = try await connection.pipeline(["select 1", "select 1/0"]) }
        #expect(error.queryIndex == 1)
    }

    @Test func anAbortedPipelineForgetsWhatWasNotPrepared() async throws {
        let connection = try await TestDatabase.connect()
        let queries: [PostgresQuery] = ["select 1 as before", "select 1/0", "select 1 as after"]
        for _ in 0..<2 {
            let error = try await postgresError { _ = try await connection.pipeline(queries) }
            #expect(error.queryIndex == 1)
        }
        #expect(try await statements(connection).contains("select 1 as before"))
        #expect(try await !statements(connection).contains("select 1 as after"))
        #expect(try await connection.execute("select 1 as after")[0].int("after") == 1)
        #expect(try await connection.execute("select 1 as before")[0].int("before") == 1)
    }

    @Test func aStatementThatCannotBePreparedIsTriedAgain() async throws {
        let connection = try await TestDatabase.connect()
        let query: PostgresQuery = "select id from pg_temp.appears_later"
        let error = try await postgresError { _ = try await connection.execute(query) }
        #expect(error.sqlState == "42P01")
        try await connection.executeScript("create temporary table appears_later (id int)")
        #expect(try await connection.execute(query).isEmpty)
    }

    @Test func theCacheIsBounded() async throws {
        let connection = try await TestDatabase.connect { $0.preparedStatementLimit = 8 }
        for round in 0..<2 {
            for number in 0..<40 {
                let result = try await connection.execute(PostgresQuery("select \(number) + $1", [.int4(1)]))
                #expect(try result[0].int(0) == number + 1, "round \(round)")
            }
        }
        // Those of the cache and the one that goes with the next query.
        #expect(try await statements(connection).count <= 9)
        let results = try await connection.pipeline((0..<40).map { PostgresQuery("select \($0) * 2") })
        #expect(try results.map { try $0[0].int(0) } == (0..<40).map { $0 * 2 })
        _ = try await connection.execute("select 1")
        #expect(try await statements(connection).count <= 9)
    }

    @Test func evictionWaitsForTheEndOfATransaction() async throws {
        let connection = try await TestDatabase.connect { $0.preparedStatementLimit = 2 }
        _ = try await connection.execute("begin")
        for number in 0..<10 { _ = try await connection.execute(PostgresQuery("select \(number)")) }
        _ = try await postgresError { _ = try await connection.execute("select 1/0") }
        _ = try await postgresError { _ = try await connection.execute("select 11") }
        _ = try await connection.execute("rollback")
        _ = try await connection.execute("select 12")
        #expect(try await statements(connection).count <= 3)
    }

    @Test func statementsDeallocatedByOthersAreRecovered() async throws {
        let connection = try await TestDatabase.connect { $0.preparedStatementLimit = 2 }
        _ = try await connection.execute("select 1 as gone")
        try await connection.executeScript("deallocate all")
        let error = try await postgresError { _ = try await connection.execute("select 1 as gone") }
        #expect(error.sqlState == "26000")
        #expect(try await connection.execute("select 1 as gone")[0].int(0) == 1)
        // Evicting what does not exist any more fails nobody.
        for number in 0..<5 { _ = try await connection.execute(PostgresQuery("select \(number)")) }
    }

    @Test func aChangedTableCostsOneError() async throws {
        let connection = try await TestDatabase.connect()
        try await connection.executeScript("create temporary table t (a int); insert into t values (1)")
        _ = try await connection.execute("select * from t")
        try await connection.executeScript("alter table t add b int default 2")
        let error = try await postgresError { _ = try await connection.execute("select * from t") }
        #expect(error.sqlState == "0A000")
        #expect(try await connection.execute("select * from t")[0].int("b") == 2)
    }
}
