// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite(.timeLimit(.minutes(5))) struct UpgradeTests {
    /// Schemas which releases of dbos created, and what each leaves behind for good: nothing.
    @Test(arguments: [("dbos-level-99.sql", 99), ("dbos-level-108.sql", 108)])
    func aSchemaOfDBOSBecomesCurrent(fixture: String, level: Int) async throws {
        try await ScratchDatabase.with(fixture: fixture) { database in
            try await database.execute(
                "SELECT dbos.enqueue_workflow('work', 'queue', ARRAY['1'::json], workflow_id => 'old')"
            )
            let report = try await database.migrator().migrate()
            #expect(report.dbos == .init(outcome: .upgraded, found: level, version: 125))
            #expect(report.holdfast.outcome == .created)
            #expect(try await database.catalog() == Fixture.dbosCatalog())
            #expect(try await database.recordedVersions() == [125])
            // Rows of before stay as they are: readers coalesce.
            let inputs = try await database.execute("SELECT inputs FROM dbos.workflow_status")[0].string(0)
            #expect(inputs == #"{"positionalArgs" : [1], "namedArgs" : {}}"#)
        }
    }

    /// A program that died between a change and the write of its version has to be able to repeat everything.
    @Test func everyMigrationCanBeRepeated() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            for level in 99...124 {
                try await database.execute("UPDATE dbos.dbos_migrations SET version = \(level)")
                let report = try await database.migrator().migrate()
                #expect(report.dbos == .init(outcome: .upgraded, found: level, version: 125))
                #expect(try await database.catalog() == Fixture.dbosCatalog())
            }
        }
    }

    /// TypeScript named the foreign key of the steps otherwise.
    @Test func theForeignKeyGoesUnderEitherName() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-108.sql") { database in
            try await database.execute(
                """
                ALTER TABLE dbos.operation_outputs RENAME CONSTRAINT operation_outputs_workflow_uuid_fkey
                TO operation_outputs_workflow_uuid_foreign
                """
            )
            _ = try await database.migrator().migrate()
            #expect(try await database.catalog() == Fixture.dbosCatalog())
        }
    }

    /// Between 105 and 112 there is no table for inputs yet.
    @Test func enqueueingAtLevel105FillsTheStatusColumn() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-99.sql") { database in
            for migration in SharedMigration.pending(after: 99, in: SchemaNames.standard.dbos).prefix(6) {
                guard case .transactional(let statements) = migration.step else { continue }
                for statement in statements { try await database.connection.executeScript(statement) }
            }
            try await database.execute(
                "SELECT dbos.enqueue_workflow('work', 'queue', ARRAY['1'::json], application_name => 'app')"
            )
            let row = try await database.execute("SELECT inputs, application_name FROM dbos.workflow_status")[0]
            #expect(try row.string(0) == #"{"positionalArgs" : [1], "namedArgs" : {}}"#)
            #expect(try row.string(1) == "app")
        }
    }

    @Test func anIndexThatWasNeverFinishedIsBuiltAnew() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-108.sql") { database in
            let index = "idx_workflow_status_in_flight_v2"
            // A unique build over duplicates dies and leaves what any death of a concurrent build leaves.
            try await database.execute(
                "INSERT INTO dbos.workflow_status (workflow_uuid, name) VALUES ('a', 'n'), ('b', 'n')"
            )
            await #expect(throws: PostgresError.self) {
                try await database.execute("CREATE UNIQUE INDEX CONCURRENTLY \(index) ON dbos.workflow_status (name)")
            }
            // Somebody's own index under construction is none of our business.
            await #expect(throws: PostgresError.self) {
                try await database.execute("CREATE UNIQUE INDEX CONCURRENTLY theirs ON dbos.workflow_status (name)")
            }
            #expect(try await database.catalog().filter { $0.hasSuffix(" INVALID") }.count == 2)
            _ = try await database.migrator().migrate()
            let theirs = "index CREATE UNIQUE INDEX theirs ON workflow_status USING btree (name) INVALID"
            #expect(try await database.catalog().filter { $0 != theirs } == Fixture.dbosCatalog())
        }
    }

    @Test func anIndexThatIsBeingBuiltIsAwaited() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            let oid = PostgresQuery("SELECT 'dbos.idx_workflow_status_in_flight_v2'::regclass::oid::int8")
            let before = try await database.connection.execute(oid)[0].int(0)
            // Another program at work: its index is not valid yet, and it holds the lock which builders hold.
            let mark = "UPDATE pg_index SET indisvalid = $1 WHERE indexrelid = $2::int8::oid"
            try await database.execute("UPDATE dbos.dbos_migrations SET version = 114")
            try await database.execute(mark, [.bool(false), .int8(Int64(before))])
            let builder = try await database.connect()
            try await builder.executeScript(
                "BEGIN; LOCK TABLE dbos.workflow_status IN SHARE UPDATE EXCLUSIVE MODE"
            )
            async let report = database.migrator().migrate()
            while try await database.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'dbos.workflow_status'::regclass"
            ).isEmpty {
                try Task.checkCancellation()
            }
            _ = try await builder.execute(PostgresQuery(mark, [.bool(true), .int8(Int64(before))]))
            try await builder.executeScript("UPDATE dbos.dbos_migrations SET version = 115; COMMIT")
            #expect(try await report.dbos.version == 125)
            #expect(try await database.connection.execute(oid)[0].int(0) == before)
        }
    }

    @Test func aLongTransactionDelaysAMigrationButNotTheOthers() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-99.sql") { database in
            let reader = try await database.connect()
            try await reader.executeScript("BEGIN; SELECT count(*) FROM dbos.queues")
            let log = LogRecorder()
            var migrator = database.migrator(logger: log.logger)
            migrator.timing.tableLockTimeout = .milliseconds(20)
            migrator.timing.tableLockAttempts = 1_000_000
            let patient = migrator
            async let report = patient.migrate()
            await log.wait(for: "waits for a table")
            #expect(try await database.recordedVersions() == [100])
            try await reader.executeScript("COMMIT")
            #expect(try await report.dbos.outcome == .upgraded)
        }
    }

    @Test func patienceWithALongTransactionEnds() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-99.sql") { database in
            let reader = try await database.connect()
            try await reader.executeScript("BEGIN; SELECT count(*) FROM dbos.queues")
            var migrator = database.migrator()
            migrator.timing.tableLockTimeout = .milliseconds(5)
            migrator.timing.tableLockAttempts = 2
            let hasty = migrator
            let error = try await migrationError { _ = try await hasty.migrate() }
            #expect(error.code == .blocked)
            #expect(error.message.contains("Migration 101"))
            #expect(try await database.recordedVersions() == [100])
        }
    }
}
