// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

/// Brings Holdfast's own schema to the version this build knows.
struct HoldfastMigration {
    let connection: PostgresConnection
    let names: SchemaNames
    let timing: MigrationTiming
    let logger: Logger

    private var schema: SchemaName { names.holdfast }

    init(_ connection: PostgresConnection, _ names: SchemaNames, _ timing: MigrationTiming, _ logger: Logger) {
        self.connection = connection
        self.names = names
        self.timing = timing
        self.logger = logger
    }

    /// - Parameter found: the version at the first look, for the report.
    func run(found: Int) async throws -> MigrationReport.Schema {
        do {
            // One transaction from the decision to the last statement: whoever comes second finds it done.
            let known = HoldfastSchema.knownVersion
            return try await connection.withMigrationTransaction(of: known, schema, timing, logger) {
                let inspection = try await SchemaInspector(connection: connection).holdfast(schema)
                switch ConnectDecision.holdfast(inspection, schema: schema, mode: .migrate) {
                case .refuse(let error):
                    throw error
                case .proceed(let outcome):
                    return MigrationReport.Schema(outcome: outcome, found: found, version: inspection.version)
                case .create:
                    try await apply(after: 0, inspection)
                    return MigrationReport.Schema(outcome: .created, found: found, version: known)
                case .upgrade(let version):
                    try await apply(after: version, inspection)
                    return MigrationReport.Schema(outcome: .upgraded, found: found, version: known)
                }
            }
        } catch let error as PostgresError where ["42P06", "42P07", "42710"].contains(error.sqlState) {
            throw MigrationError(
                .foreignLayout,
                "Schema \(schema) cannot be created: \(error.message). Something in it already bears the name of an object"
                    + " of Holdfast's; nothing was changed. Move it away, or configure another schema name."
            )
        }
    }

    private func apply(after version: Int, _ inspection: SchemaInspection) async throws {
        try await connection.executeScript(
            HoldfastSchema.statements(after: version, in: names, schemaExists: inspection.schemaExists)
        )
        logger.info(
            "Migrated the schema",
            metadata: ["schema": "\(schema.text)", "version": "\(HoldfastSchema.knownVersion)"]
        )
    }
}
