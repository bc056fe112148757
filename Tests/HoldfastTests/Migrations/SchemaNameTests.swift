// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import Holdfast

struct SchemaNameTests {
    @Test(arguments: [
        ("dbos", "\"dbos\""),
        ("Upper Case", "\"Upper Case\""),
        ("with\"quote", "\"with\"\"quote\""),
        ("\"", "\"\"\"\""),
        ("a$fn$b'; DROP", "\"a$fn$b'; DROP\""),
    ])
    func interpolationQuotes(name: String, quoted: String) throws {
        let schema = try SchemaName(name)
        #expect("\(schema)" == quoted)
        #expect(schema.text == name)
    }

    @Test func impossibleNamesAreRefused() {
        let tooLong = String(repeating: "é", count: 32)
        for name in ["", " ", "\t\n", "nul\0byte", "pg_toast", "information_schema", tooLong] {
            let error = #expect(throws: MigrationError.self) { try SchemaName(name) }
            #expect(error?.code == .invalidSchemaName)
        }
    }

    @Test func theTwoSchemasDiffer() throws {
        let error = #expect(throws: MigrationError.self) { try SchemaNames(dbos: "same", holdfast: "same") }
        #expect(error?.code == .invalidSchemaName)
        #expect(try SchemaNames() == .standard)
    }

    @Test func dollarQuotesAvoidTheContent() {
        #expect(SQLText.dollarQuoted("BEGIN END") == "$fn$BEGIN END$fn$")
        #expect(SQLText.dollarQuoted("a$fn$b") == "$fn1$a$fn$b$fn1$")
        #expect(SQLText.dollarQuoted("a$fn$b$fn1$c") == "$fn2$a$fn$b$fn1$c$fn2$")
    }
}
