// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastPostgres
import Testing

@testable import Holdfast

/// Version 2 of Holdfast's own schema.
@Suite(.timeLimit(.minutes(5))) struct AutoscalingSchemaTests {
    @Test func aSchemaOfVersion1GetsTheView() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            try await database.connection.executeScript(
                """
                DROP VIEW holdfast.autoscaling;
                DROP FUNCTION holdfast.autoscaling_figures();
                DELETE FROM holdfast.migrations WHERE version = 2;
                """
            )
            let report = try await database.migrator().migrate()
            #expect(report.holdfast == .init(outcome: .upgraded, found: 1, version: 2))
            #expect(try await database.execute("SELECT * FROM holdfast.autoscaling").isEmpty)
        }
    }

    /// Other programs migrate the shared tables. Nothing of ours may stand in their way.
    @Test func theSharedTablesCanBeAlteredAndDropped() async throws {
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            for sql in [
                "ALTER TABLE dbos.workflow_status ALTER COLUMN delay_until_epoch_ms TYPE NUMERIC",
                "ALTER TABLE dbos.workflow_status RENAME COLUMN owner_xid TO owner",
                "ALTER TABLE dbos.queues DROP COLUMN worker_concurrency",
                "DROP TABLE dbos.application_versions",
                "DROP SCHEMA dbos CASCADE",
            ] {
                try await database.execute(sql)
            }
            let report = try await database.migrator().migrate()
            #expect(report.dbos.outcome == .created)
            #expect(report.holdfast.outcome == .current)
            #expect(try await database.execute("SELECT * FROM holdfast.autoscaling").isEmpty)
        }
    }

    /// `deploy/autoscaling-role.sql` is what the manual tells people to run.
    @Test func theRoleOfTheManualReadsTheViewAndNothingElse() async throws {
        let recipe = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(
                components: "deploy",
                "autoscaling-role.sql"
            )
        let names = try SchemaNames(dbos: "work \"$fn$\"", holdfast: "Own'Schema")
        try await ScratchDatabase.with { database in
            _ = try await database.migrator(names: names).migrate()
            try await database.execute(
                "INSERT INTO \(names.dbos).workflow_status (workflow_uuid, status, name) VALUES ('w', 'ENQUEUED', 'n')"
            )
            let role = ScratchDatabase.uniqueName("holdfast_scaler")
            let text = try String(contentsOf: recipe, encoding: .utf8)
                .replacing("holdfast_scaler", with: role)
                .replacing("holdfast.", with: "\(names.holdfast).")
                .replacing("SCHEMA holdfast", with: "SCHEMA \(names.holdfast)")
            try await database.connection.executeScript(text)
            try await database.execute("SET ROLE \(role)")
            let row = try await database.execute("SELECT desired_executors FROM \(names.holdfast).autoscaling")[0]
            #expect(try row.int(0) == 1)
            for sql in [
                "SELECT 1 FROM \(names.dbos).workflow_status", "SELECT 1 FROM \(names.holdfast).executors",
                "DELETE FROM \(names.holdfast).takeovers",
            ] {
                let error = await #expect(throws: PostgresError.self) { try await database.execute(sql) }
                #expect(error?.sqlState == "42501", "\(sql)")
            }
            try await database.connection.executeScript("RESET ROLE; DROP OWNED BY \(role); DROP ROLE \(role)")
        }
    }

    @Test func theFunctionIsNotForEveryone() async throws {
        try await ScratchDatabase.withRole { role in
            try await ScratchDatabase.with { database in
                _ = try await database.migrator().migrate()
                try await database.connection.executeScript(
                    "GRANT USAGE ON SCHEMA holdfast TO \(role); SET ROLE \(role)"
                )
                let error = await #expect(throws: PostgresError.self) {
                    try await database.execute("SELECT * FROM holdfast.autoscaling_figures()")
                }
                #expect(error?.sqlState == "42501")
            }
        }
    }
}
