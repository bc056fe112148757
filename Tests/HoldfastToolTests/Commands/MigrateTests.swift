// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import TestSupport
import Testing

@Suite("holdfast migrate", .timeLimit(.minutes(5))) struct MigrateTests {
    @Test("checks, creates, and finds nothing to do the second time")
    func creates() async throws {
        try await ToolDatabase.with(isMigrated: false) { database in
            let before = try await database.run("migrate", "--check")
            #expect(before.status == 5)
            #expect(before.output.isEmpty)
            #expect(before.complaint.hasPrefix("holdfast: Schema \"\(database.configuration.schema)\" does not exist"))
            #expect(before.complaint.contains("Run 'holdfast migrate'"))

            let created = try await database.run("migrate")
            #expect(created.status == 0)
            #expect(created.rows.first == ["SCHEMA", "FOUND", "NOW", "RESULT"])
            #expect(
                created.rows.dropFirst().map(\.first) == [
                    database.configuration.schema, database.configuration.ownSchema,
                ]
            )
            #expect(created.rows.dropFirst().map(\.last) == ["created", "created"])

            #expect(try await database.run("migrate", "--check").status == 0)
            let again = try await database.run("migrate")
            #expect(again.status == 0)
            #expect(again.output.contains("current, nothing to do"))
        }
    }

    @Test("its document")
    func document() async throws {
        try await ToolDatabase.with(isMigrated: false) { database in
            let created = try await database.run("migrate", "--json").decoded(MigrationDocument.self)
            #expect(!created.createdDatabase)
            #expect(created.schema.name == database.configuration.schema)
            #expect(created.schema.outcome == "created")
            #expect(created.ownSchema.found == 0)
            let checked = try await database.run("migrate", "--check", "--json").decoded(MigrationDocument.self)
            #expect(checked.schema.outcome == "current")
            #expect(checked.schema.found == created.schema.version)
            #expect(checked.ownSchema.outcome == "current")
        }
    }

    @Test("a schema ahead of this program will do")
    func ahead() async throws {
        try await ToolDatabase.with { database in
            try await database.query("UPDATE {s}.dbos_migrations SET version = 9999")
            let answer = try await database.run("migrate", "--check", "--json")
            #expect(answer.status == 0)
            #expect(try answer.decoded(MigrationDocument.self).schema.outcome == "ahead")
        }
    }

    @Test("a sharded schema is left alone by every command that changes something")
    func sharded() async throws {
        try await ToolDatabase.with { database in
            try await database.enqueue("one")
            try await database.query("ALTER TABLE {s}.workflow_status ADD COLUMN shard_key TEXT")
            for arguments in [["migrate"], ["migrate", "--check"], ["workflow", "cancel", "one"]] {
                let answer = try await database.tool.run(arguments)
                #expect(answer.status == 5)
                #expect(answer.output.isEmpty)
                #expect(answer.complaint.contains("sharding"))
            }
            #expect(try await database.run("workflow", "list").output.contains("ENQUEUED"))
        }
    }

    @Test(
        "without a system database every command says so",
        arguments: [
            ["workflow", "list"], ["workflow", "get", "one"], ["workflow", "steps", "one"],
            ["workflow", "history", "one"],
            ["workflow", "cancel", "one"], ["workflow", "resume", "one"], ["queue", "list"], ["fleet", "status"],
            ["workflow", "enqueue", "greet", "--queue", "work", "--input", "1"],
        ]
    )
    func missingSchema(_ arguments: [String]) async throws {
        try await ToolDatabase.with(isMigrated: false) { database in
            for arguments in [arguments, arguments + ["--json"]] {
                let answer = try await database.tool.run(arguments)
                #expect(answer.status == 5)
                #expect(answer.output.isEmpty)
                #expect(answer.complaint.contains("does not exist"))
                #expect(answer.complaint.contains("Run 'holdfast migrate'"))
            }
        }
    }

    @Test("nor without the database itself", .direct(because: "PgBouncer hides why a server refuses a login"))
    func missingDatabase() async throws {
        let end = try #require(TestServer.url.lastIndex(of: "/"))
        let url = TestServer.url[...end] + "no_such_database"
        let tool = Tool(environment: ["HOLDFAST_DATABASE_URL": String(url)])
        for arguments in [["migrate", "--check"], ["workflow", "list"]] {
            let answer = try await tool.run(arguments)
            #expect(answer.status == 5)
            #expect(answer.complaint.contains("no_such_database"))
        }
    }
}
