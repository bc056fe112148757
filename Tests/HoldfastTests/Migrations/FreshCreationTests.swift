// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite(.timeLimit(.minutes(5))) struct FreshCreationTests {
    @Test func theCatalogIsThatOfDBOS() async throws {
        try await ScratchDatabase.with { database in
            let report = try await database.migrator().migrate()
            #expect(!report.createdDatabase)
            #expect(report.dbos == .init(outcome: .created, found: 0, version: 125))
            #expect(report.holdfast == .init(outcome: .created, found: 0, version: HoldfastSchema.knownVersion))
            #expect(try await database.catalog() == Fixture.dbosCatalog())
            #expect(try await database.recordedVersions() == [125])
        }
    }

    @Test func aSecondMigrationFindsNothingToDo() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            let again = try await database.migrator().migrate()
            #expect(again.dbos == .init(outcome: .current, found: 125, version: 125))
            let known = HoldfastSchema.knownVersion
            #expect(again.holdfast == .init(outcome: .current, found: known, version: known))
            #expect(try await database.migrator().verify() == again)
        }
    }

    /// Two pairs of schemas, named as awkwardly as Postgres permits.
    @Test func awkwardNames() async throws {
        let first = try SchemaNames(dbos: "My \"Odd\" $fn$ Schema", holdfast: "Hold'fast \\ é; --")
        let second = try SchemaNames(dbos: "DBOS", holdfast: "HOLDFAST")
        try await ScratchDatabase.with { database in
            for names in [first, second] {
                _ = try await database.migrator(names: names).migrate()
                _ = try await database.migrator(names: names).verify()
                #expect(try await database.catalog(of: names.dbos.text) == Fixture.dbosCatalog())
                let row = try await database.execute(
                    "SELECT \(names.dbos).enqueue_workflow('work', 'queue', workflow_id => 'one')"
                )[0]
                #expect(try row.string(0) == "one")
                try await database.execute("SELECT \(names.dbos).send_message('one', '1', message_id => 'm')")
                #expect(try await database.execute("SELECT 1 FROM \(names.dbos).notifications").count == 1)
                try await database.execute("SELECT count(*) FROM \(names.holdfast).executors")
            }
        }
    }

    /// The owner of a prepared schema needs no privilege on the database.
    @Test func preparedSchemas() async throws {
        try await ScratchDatabase.withRole { role in
            try await ScratchDatabase.with { database in
                try await database.execute("CREATE SCHEMA dbos AUTHORIZATION \(role)")
                try await database.execute("CREATE SCHEMA holdfast AUTHORIZATION \(role)")
                // Tables that applications keep beside ours.
                try await database.execute("CREATE TABLE dbos.transaction_completion (id INT)")
                let migrator = Migrator(
                    configuration: database.configuration.connecting(as: role),
                    names: .standard,
                    logger: ScratchDatabase.silentLogger
                )
                #expect(try await migrator.migrate().dbos.outcome == .created)
            }
        }
    }

    @Test func theFunctionsKeepTheirContract() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.execute(
                """
                SELECT dbos.enqueue_workflow('work', 'queue', ARRAY['"a"'::json, '1'], '{"k": 2}',
                  workflow_id => 'one', deduplication_id => 'd', delay_until_epoch_ms => 5, application_name => 'app')
                """
            )
            let row = try await database.execute(
                """
                SELECT concat_ws('|', status, name, queue_name, serialization, priority, recovery_attempts,
                  application_name, creator_xid IS NULL, s.inputs IS NULL, i.inputs)
                FROM dbos.workflow_status s JOIN dbos.workflow_input i USING (workflow_uuid)
                """
            )[0]
            let inputs = #"{"positionalArgs" : ["a",1], "namedArgs" : {"k": 2}}"#
            #expect(try row.string(0) == "DELAYED|work|queue|portable_json|0|0|app|t|t|\(inputs)")

            let states = [
                "SELECT dbos.enqueue_workflow('work', 'queue', deduplication_id => 'd')": "23505",
                "SELECT dbos.enqueue_workflow('', 'queue')": "P0001",
                "SELECT dbos.enqueue_workflow('work', NULL)": "P0001",
                "SELECT dbos.enqueue_workflow('work', 'queue', named_args => '[]')": "P0001",
                "SELECT dbos.enqueue_workflow('work', 'queue', workflow_id => '')": "P0001",
                "SELECT dbos.enqueue_workflow('work', 'queue', delay_until_epoch_ms => -1)": "P0001",
                "SELECT dbos.send_message('nobody', '1')": "23503",
            ]
            for (sql, state) in states {
                let error = await #expect(throws: PostgresError.self) { try await database.execute(sql) }
                #expect(error?.sqlState == state, "\(sql)")
            }
        }
    }
}
