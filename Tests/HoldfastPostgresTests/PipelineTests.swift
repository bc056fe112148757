// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct PipelineTests {
    /// In both directions at once: neither side may wait for the other to read first.
    @Test func aLargePipelineDoesNotDeadlock() async throws {
        let connection = try await TestDatabase.connect()
        let text = String(repeating: "0123456789", count: 10_000)
        let results = try await connection.pipeline(
            (0..<500).map { PostgresQuery("select $1, $2", [.int4($0), .text(text)]) }
        )
        #expect(results.count == 500)
        for (index, result) in results.enumerated() {
            #expect(try result[0].int(0) == index)
            #expect(try result[0].string(1).utf8.count == text.utf8.count)
        }
    }

    @Test func anEmptyPipelineIsNothing() async throws {
        #expect(try await TestDatabase.connect().pipeline([]).isEmpty)
    }

    @Test func anErrorUndoesAllAndLeavesTheConnectionUsable() async throws {
        try await TestDatabase.withTable("(id int primary key)") { table in
            let connection = try await TestDatabase.connect()
            let error = try await postgresError {
                _ = try await connection.pipeline(
                    [1, 2, 1, 3].map { PostgresQuery("insert into \(table) values (\($0))") }
                )
            }
            #expect(error.code == .server)
            #expect(error.sqlState == "23505")
            #expect(error.constraint == "\(table)_pkey")
            #expect(error.detail == "Key (id)=(1) already exists.")
            #expect(error.queryIndex == 2)
            #expect(error.sql == "insert into \(table) values (1)")
            #expect(connection.isUsable)
            #expect(try await connection.execute(PostgresQuery("select count(*) from \(table)"))[0].int(0) == 0)
        }
    }

    @Test func aPipelineIsOneTransaction() async throws {
        let connection = try await TestDatabase.connect()
        let results = try await connection.pipeline(["select pg_current_xact_id()", "select pg_current_xact_id()"])
        #expect(try results[0][0].string(0) == results[1][0].string(0))
        #expect(!connection.isInTransaction)
    }

    @Test func aPipelineInsideATransactionDoesNotCommitIt() async throws {
        try await TestDatabase.withTable("(id int)") { table in
            let connection = try await TestDatabase.connect()
            let insert = PostgresQuery("insert into \(table) values (1)")
            _ = try await connection.pipeline(["begin", insert])
            #expect(connection.isInTransaction)
            _ = try await connection.pipeline([insert, "rollback"])
            #expect(!connection.isInTransaction)
            #expect(try await connection.execute(PostgresQuery("select count(*) from \(table)"))[0].int(0) == 0)
        }
    }

    @Test func callsFromManyTasksRunInTurn() async throws {
        let connection = try await TestDatabase.connect()
        try await withThrowingTaskGroup { group in
            for number in 0..<200 {
                group.addTask {
                    let result = try await connection.execute(PostgresQuery("select $1", [.int8(Int64(number))]))
                    #expect(try result[0].int(0) == number)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func aScriptRunsAllItsStatements() async throws {
        try await TestDatabase.withTable("(id int)") { table in
            let connection = try await TestDatabase.connect()
            try await connection.executeScript(
                "insert into \(table) values (1); select * from \(table); insert into \(table) values (2);"
            )
            #expect(try await connection.execute(PostgresQuery("select count(*) from \(table)"))[0].int(0) == 2)
        }
    }

    @Test func aFailingScriptIsUndone() async throws {
        let connection = try await TestDatabase.connect()
        let name = TestDatabase.uniqueName("t")
        let error = try await postgresError {
            try await connection.executeScript("create table \(name) (id int); select 1/0; select 2")
        }
        #expect(error.sqlState == "22012")
        #expect(error.sql?.hasPrefix("create table") == true)
        let found = try await connection.execute(PostgresQuery("select to_regclass($1)", [.text(name)]))
        #expect(try found[0].optionalString(0) == nil)
    }

    @Test func noticesAndOtherAnswersDoNotDisturb() async throws {
        let connection = try await TestDatabase.connect()
        try await connection.executeScript(
            "do $$ begin raise warning 'careful'; end $$; drop table if exists nothing_here"
        )
        #expect(try await connection.execute("").isEmpty)
        #expect(try await connection.execute("select 1")[0].int(0) == 1)
    }

    /// COPY needs a conversation this layer does not have.
    @Test func copyEndsTheConnectionInsteadOfHanging() async throws {
        for isScript in [false, true] {
            let connection = try await TestDatabase.connect()
            let error = try await postgresError {
                if isScript {
                    try await connection.executeScript("copy (select 1) to stdout")
                } else {
                    _ = try await connection.execute("copy (select 1) to stdout")
                }
            }
            #expect(error.code == .connectionLost)
            #expect(!connection.isUsable)
        }
    }

    @Test func errorsCarryTheirHint() async throws {
        let connection = try await TestDatabase.connect()
        let error = try await postgresError { _ = try await connection.execute("select no_such_function()") }
        #expect(error.sqlState == "42883")
        #expect(error.hint?.isEmpty == false)
        #expect(error.queryIndex == nil)
    }
}
