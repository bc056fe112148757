// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

/// Programs run with fewer privileges than those who migrate for them.
@Suite(.timeLimit(.minutes(5))) struct PrivilegeTests {
    private func migrator(_ database: ScratchDatabase, as role: String) -> Migrator {
        Migrator(
            configuration: database.configuration.connecting(as: role),
            names: .standard,
            logger: ScratchDatabase.silentLogger
        )
    }

    @Test func aRoleThatMayNotChangeTheSchemaCanRun() async throws {
        try await ScratchDatabase.withRole { role in
            try await ScratchDatabase.with { database in
                _ = try await database.migrator().migrate()
                try await database.connection.executeScript(
                    """
                    GRANT USAGE ON SCHEMA dbos, holdfast TO \(role);
                    GRANT SELECT ON dbos.dbos_migrations, holdfast.migrations TO \(role);
                    """
                )
                let report = try await migrator(database, as: role).verify()
                #expect(report.dbos.outcome == .current)
                // With nothing to do, migrating takes no more than verifying.
                #expect(try await migrator(database, as: role).migrate() == report)
            }
        }
    }

    @Test func aMissingPrivilegeIsExplained() async throws {
        try await ScratchDatabase.withRole { role in
            try await ScratchDatabase.with { database in
                var error = try await migrationError { _ = try await migrator(database, as: role).migrate() }
                #expect(error.code == .insufficientPrivilege)
                _ = try await database.migrator().migrate()
                error = try await migrationError { _ = try await migrator(database, as: role).verify() }
                #expect(error.code == .insufficientPrivilege)
                #expect(error.message.contains("USAGE on the schemas"))
            }
        }
    }
}
