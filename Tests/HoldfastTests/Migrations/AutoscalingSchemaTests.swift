// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

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
                ALTER TABLE holdfast.executors DROP COLUMN began, DROP COLUMN life;
                DROP SEQUENCE holdfast.beginnings;
                DROP TABLE holdfast.retired_versions;
                DELETE FROM holdfast.migrations WHERE version > 1;
                """
            )
            let report = try await database.migrator().migrate()
            #expect(report.holdfast == .init(outcome: .upgraded, found: 1, version: HoldfastSchema.knownVersion))
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
