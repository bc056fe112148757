// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

/// Brings the schema that all SDKs share to the level this build knows.
struct DBOSMigration {
    let connection: PostgresConnection
    let schema: SchemaName
    let timing: MigrationTiming
    let logger: Logger

    init(_ connection: PostgresConnection, _ schema: SchemaName, _ timing: MigrationTiming, _ logger: Logger) {
        self.connection = connection
        self.schema = schema
        self.timing = timing
        var logger = logger
        logger[metadataKey: "schema"] = "\(schema.text)"
        self.logger = logger
    }

    /// - Parameter found: the version at the first look, for the report.
    func run(found: Int) async throws -> MigrationReport.Schema {
        var outcome = MigrationReport.Outcome.current
        var collision: PostgresError?
        // Each pass decides anew from what is there; a pass that loses a race sees the winner's work in the next.
        for _ in 0..<4 {
            let inspection = try await SchemaInspector(connection: connection).dbos(schema)
            switch ConnectDecision.dbos(inspection, schema: schema, mode: .migrate) {
            case .proceed(let standing):
                if standing == .ahead { outcome = .ahead }
                return MigrationReport.Schema(outcome: outcome, found: found, version: inspection.version)
            case .refuse(let error):
                throw error
            case .upgrade(let version):
                try await upgrade(from: version)
                outcome = .upgraded
            case .create:
                do {
                    if try await create() { outcome = .created }
                } catch let error as PostgresError where Self.isCollision(error) {
                    collision = error
                }
            }
        }
        throw MigrationError(
            .foreignLayout,
            "Schema \(schema) cannot be created: \(collision?.message ?? "it keeps changing"). Something in it already"
                + " bears the name of an object of Holdfast's; nothing was changed. Move it away, or configure another"
                + " schema name."
        )
    }

    /// Creates everything in one transaction; false when somebody else had done so meanwhile.
    private func create() async throws -> Bool {
        try await connection.withMigrationTransaction {
            let inspection = try await SchemaInspector(connection: connection).dbos(schema)
            guard ConnectDecision.dbos(inspection, schema: schema, mode: .migrate) == .create else { return false }
            try await connection.executeScript(
                DBOSSchema.creation(in: schema, schemaExists: inspection.schemaExists)
            )
            logger.info("Created the schema", metadata: ["version": "\(DBOSSchema.knownVersion)"])
            return true
        }
    }

    private func upgrade(from version: Int) async throws {
        for migration in SharedMigration.pending(after: version, in: schema) {
            logger.info("Migrating the schema", metadata: ["version": "\(migration.number)"])
            switch migration.step {
            case .transactional(let statements): try await apply(statements, as: migration.number)
            case .createIndex(let index): try await build(index, as: migration.number)
            case .dropIndex(let name): try await drop(name, as: migration.number)
            }
        }
    }

    /// Something of that name exists: a schema, a relation, a function, a trigger, or a row of the catalog that another
    /// transaction is about to commit.
    private static func isCollision(_ error: PostgresError) -> Bool {
        ["42P06", "42P07", "42710", "42723", "23505"].contains(error.sqlState)
    }
}
