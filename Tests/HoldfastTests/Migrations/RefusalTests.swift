// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

/// Databases that must be left alone.
@Suite(.timeLimit(.minutes(5))) struct RefusalTests {
    private func refusal(_ migrator: Migrator) async throws -> MigrationError {
        let error = try await migrationError { _ = try await migrator.migrate() }
        #expect(try await migrationError { _ = try await migrator.verify() }.code == error.code)
        return error
    }

    @Test func verifyingChangesNothing() async throws {
        try await ScratchDatabase.with { database in
            let error = try await migrationError { _ = try await database.migrator().verify() }
            #expect(error.code == .behind)
            let schemas = "SELECT 1 FROM pg_namespace WHERE nspname IN ('dbos', 'holdfast')"
            #expect(try await database.execute(schemas).isEmpty)
        }
        try await ScratchDatabase.with(fixture: "dbos-level-108.sql") { database in
            let before = try await database.catalog()
            let error = try await migrationError { _ = try await database.migrator().verify() }
            #expect(error.code == .behind)
            #expect(error.message.contains("is at version 108"))
            #expect(try await database.catalog() == before)
            #expect(try await database.recordedVersions() == [108])
        }
    }

    @Test func verifyingWantsOurOwnSchemaToo() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute("DROP SCHEMA holdfast CASCADE")
            let error = try await migrationError { _ = try await database.migrator().verify() }
            #expect(error.code == .behind)
            #expect(error.message.contains("\"holdfast\" does not exist"))
        }
    }

    @Test func aNewerSchemaIsUsedAndNeverTouched() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.connection.executeScript(
                """
                UPDATE dbos.dbos_migrations SET version = 126;
                ALTER TABLE dbos.workflow_status ADD COLUMN invented_later TEXT;
                INSERT INTO holdfast.migrations (version) VALUES (99);
                """
            )
            let log = LogRecorder()
            let expected = MigrationReport(
                createdDatabase: false,
                dbos: .init(outcome: .ahead, found: 126, version: 126),
                holdfast: .init(outcome: .ahead, found: 99, version: 99)
            )
            #expect(try await database.migrator(logger: log.logger).migrate() == expected)
            #expect(try await database.migrator().verify() == expected)
            await log.wait(for: "A newer program has migrated the schema")
            #expect(try await database.recordedVersions() == [126])
        }
    }

    @Test func aNewerSchemaStaysWhileOurOwnIsCreated() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute("UPDATE dbos.dbos_migrations SET version = 126")
            try await database.execute("DROP SCHEMA holdfast CASCADE")
            let report = try await database.migrator().migrate()
            #expect(report.dbos == .init(outcome: .ahead, found: 126, version: 126))
            #expect(report.holdfast.outcome == .created)
            #expect(try await database.recordedVersions() == [126])
        }
    }

    @Test(arguments: [1, 47, 98])
    func privateNumbers(version: Int) async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-99.sql") { database in
            try await database.execute("UPDATE dbos.dbos_migrations SET version = \(version)")
            let before = try await database.catalog()
            #expect(try await refusal(database.migrator()).code == .unknownLineage)
            #expect(try await database.catalog() == before)
            #expect(try await database.recordedVersions() == [version])
            #expect(try await database.catalog(of: "holdfast").isEmpty)
        }
    }

    @Test func aShardedSchema() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute("ALTER TABLE dbos.workflow_status ADD COLUMN shard_key TEXT")
            #expect(try await refusal(database.migrator()).code == .sharded)
        }
    }

    @Test func somebodyElsesSchema() async throws {
        try await ScratchDatabase.with { database in
            try await database.execute("CREATE SCHEMA dbos")
            try await database.execute("CREATE TABLE dbos.workflow_status (id INT, state TEXT)")
            let before = try await database.catalog()
            let error = try await refusal(database.migrator())
            #expect(error.code == .foreignLayout)
            #expect(error.message.contains("workflow_status"))
            #expect(try await database.catalog() == before)
        }
    }

    /// A name that only the creation itself runs into.
    @Test func somebodyElsesFunction() async throws {
        try await ScratchDatabase.with { database in
            try await database.execute("CREATE SCHEMA dbos")
            try await database.execute("CREATE TABLE dbos.theirs (id INT)")
            try await database.execute("CREATE INDEX idx_workflow_topic ON dbos.theirs (id)")
            let before = try await database.catalog()
            let error = try await migrationError { _ = try await database.migrator().migrate() }
            #expect(error.code == .foreignLayout)
            #expect(error.message.contains("idx_workflow_topic"))
            #expect(try await database.catalog() == before)
        }
    }

    @Test func aSchemaThatLostSomething() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute("ALTER TABLE dbos.workflow_status DROP COLUMN creator_xid")
            try await database.execute("DROP TABLE dbos.streams")
            let error = try await refusal(database.migrator())
            #expect(error.code == .foreignLayout)
            #expect(error.message.contains("lacks table streams; column creator_xid of workflow_status"))
        }
    }

    @Test func ourOwnSchemaTakenBySomebodyElse() async throws {
        try await ScratchDatabase.with { database in
            try await database.execute("CREATE SCHEMA holdfast")
            try await database.execute("CREATE TABLE holdfast.executors (id INT)")
            let error = try await migrationError { _ = try await database.migrator().migrate() }
            #expect(error.code == .foreignLayout)
            #expect(error.message.contains("\"holdfast\""))
        }
    }
}
