// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct BindingTests {
    static let texts = [
        "", " ", "plain", "it's \"quoted\" and \\back\\slashed", "{a,b}", "NULL", "line\nline\ttab", "çé 漢字 🦀 e\u{301}",
        String(repeating: "x", count: 100_000),
    ]

    @Test(arguments: texts)
    func text(_ value: String) async throws {
        let row = try await one("select $1", [.text(value)])
        #expect(try row.string(0) == value)
    }

    @Test func integers() async throws {
        let row = try await one(
            "select $1, $2, $3, $4",
            [.int4(.min), .int4(.max), .int8(.min), .int8(.max)]
        )
        #expect(try row.int(0) == Int(Int32.min))
        #expect(try row.int(1) == Int(Int32.max))
        #expect(try row.int(2) == Int.min)
        #expect(try row.int(3) == Int.max)
    }

    @Test(arguments: [0, -0.0, 1.5, 0.1, 1e300, -Double.leastNonzeroMagnitude, .infinity, -.infinity])
    func double(_ value: Double) async throws {
        let row = try await one("select $1", [.double(value)])
        #expect(try row.double(0) == value)
    }

    @Test func notANumber() async throws {
        let row = try await one("select $1", [.double(.nan)])
        #expect(try row.double(0).isNaN)
    }

    @Test func booleans() async throws {
        let row = try await one("select $1, $2", [.bool(true), .bool(false)])
        #expect(try row.bool(0))
        #expect(try !row.bool(1))
    }

    @Test func nulls() async throws {
        let row = try await one(
            "select $1, $2, $3, $4, $5",
            [.text(nil), .int4(nil), .int8(nil), .bool(nil), .double(nil)]
        )
        #expect(try row.optionalString(0) == nil)
        #expect(try row.optionalInt(1) == nil)
        #expect(try row.optionalInt(2) == nil)
        #expect(try row.optionalBool(3) == nil)
        #expect(try row.optionalDouble(4) == nil)
    }

    @Test func textArrays() async throws {
        let values: [String?] = Self.texts + [nil, "last"]
        let rows = try await rows("select v from unnest($1) with ordinality u(v, n) order by n", [.textArray(values)])
        #expect(try rows.map { try $0.optionalString(0) } == values)
    }

    @Test func numberArrays() async throws {
        let rows = try await rows(
            """
            select a, b, c, d from unnest($1, $2, $3, $4) with ordinality u(a, b, c, d, n) order by n
            """,
            [
                .int4Array([1, nil, .min]), .int8Array([.max, nil, -1]), .boolArray([true, nil, false]),
                .doubleArray([0.5, nil, -1e10]),
            ]
        )
        #expect(try rows.map { try $0.optionalInt(0) } == [1, nil, Int(Int32.min)])
        #expect(try rows.map { try $0.optionalInt("b") } == [.max, nil, -1])
        #expect(try rows.map { try $0.optionalBool("c") } == [true, nil, false])
        #expect(try rows.map { try $0.optionalDouble("d") } == [0.5, nil, -1e10])
    }

    @Test func emptyArrays() async throws {
        let row = try await one(
            "select cardinality($1), cardinality($2), cardinality($3), cardinality($4), cardinality($5), $1::text",
            [.textArray([]), .int4Array([]), .int8Array([]), .boolArray([]), .doubleArray([])]
        )
        for column in 0..<5 { #expect(try row.int(column) == 0) }
        #expect(try row.string(5) == "{}")
    }

    @Test func largeArrays() async throws {
        let values = (0..<100_000).map { Int64($0) }
        let row = try await one("select sum(v), count(*) from unnest($1) v", [.int8Array(values)])
        #expect(try row.int(0) == 4_999_950_000)
        #expect(try row.int(1) == 100_000)
    }

    @Test func manyParameters() async throws {
        let list = (1...2000).map { "$\($0)" }.joined(separator: "+")
        let row = try await one("select \(list)", (1...2000).map { .int4($0) })
        #expect(try row.int(0) == 2_001_000)
    }

    @Test func tooManyParameters() {
        let error = #expect(throws: PostgresError.self) {
            try EncodedQuery(PostgresQuery("", Array(repeating: .int4(1), count: 65536)))
        }
        #expect(error?.code == .unencodable)
    }

    @Test func zeroBytesAreRefusedWithTheirPlace() async throws {
        let connection = try await TestDatabase.connect()
        let scalar = try await postgresError {
            _ = try await connection.execute(PostgresQuery("select $1, $2", [.int4(1), .text("a\0b")]))
        }
        #expect(scalar.code == .unencodable)
        #expect(scalar.message.contains("$2"))
        let array = try await postgresError {
            _ = try await connection.pipeline(["select 1", PostgresQuery("select $1", [.textArray(["a", nil, "\0"])])])
        }
        #expect(array.code == .unencodable)
        #expect(array.message.contains("$1"))
        #expect(array.queryIndex == 1)
        let sql = try await postgresError { _ = try await connection.execute("select 1\0 garbage") }
        #expect(sql.code == .unencodable)
        #expect(try await connection.execute("select 1")[0].int(0) == 1)
    }

    @Test func decodingErrorsNameColumnAndValue() async throws {
        let row = try await one("select 'abc' as word, null as nothing", [])
        let notANumber = #expect(throws: PostgresError.self) { try row.int("word") }
        #expect(notANumber?.code == .decoding)
        #expect(notANumber?.message == "column 0 (\"word\") is not an integer: \"abc\"")
        #expect(#expect(throws: PostgresError.self) { try row.bool(0) }?.code == .decoding)
        #expect(#expect(throws: PostgresError.self) { try row.double(0) }?.code == .decoding)
        let null = #expect(throws: PostgresError.self) { try row.string("nothing") }
        #expect(null?.message == "column 1 (\"nothing\") is NULL")
        #expect(#expect(throws: PostgresError.self) { try row.string("other") }?.code == .decoding)
        #expect(#expect(throws: PostgresError.self) { try row.string(2) }?.code == .decoding)
        #expect(#expect(throws: PostgresError.self) { try row.string(-1) }?.code == .decoding)
    }

    @Test func resultsKnowTheirShape() async throws {
        try await TestDatabase.withTable("as select generate_series(1, 7) as id") { table in
            let connection = try await TestDatabase.connect()
            let update = try await connection.execute(PostgresQuery("update \(table) set id = id + 1 where id > 4"))
            #expect(update.affectedRows == 3)
            #expect(update.isEmpty)
            #expect(update.commandTag == "UPDATE 3")
            let select = try await connection.execute(
                PostgresQuery("select id as \"The Id\", 1 as one from \(table) order by id limit 2")
            )
            #expect(select.columns == ["The Id", "one"])
            #expect(select.count == 2)
            #expect(try select[0].int("The Id") == 1)
        }
    }

    private func rows(_ sql: String, _ bindings: [PostgresBinding]) async throws -> PostgresResult {
        try await TestDatabase.connect().execute(PostgresQuery(sql, bindings))
    }

    private func one(_ sql: String, _ bindings: [PostgresBinding]) async throws -> PostgresRow {
        let rows = try await rows(sql, bindings)
        return try #require(rows.first)
    }
}
