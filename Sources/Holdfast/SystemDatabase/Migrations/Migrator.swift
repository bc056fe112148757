// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import HoldfastPostgres
package import Logging

/// Creates and upgrades a system database, or verifies one.
package struct Migrator: Sendable {
    package private(set) var configuration: PostgresConfiguration
    package let names: SchemaNames
    package let logger: Logger
    package var timing = MigrationTiming()

    package init(configuration: PostgresConfiguration, names: SchemaNames, logger: Logger) {
        self.configuration = configuration
        // Every statement is sent once.
        self.configuration.preparesStatements = false
        self.names = names
        self.logger = logger
    }

    /// Makes the system database usable: creates what is missing, database included, and upgrades what is old.
    ///
    /// Any number of processes may do this at once. Throws a ``MigrationError`` when a human has to act, and a
    /// `PostgresError` otherwise; one that is transient is worth another call.
    package func migrate() async throws -> MigrationReport {
        let (connection, createdDatabase) = try await connect(mayCreate: true)
        return try await closing(connection) {
            try await settle(on: connection, createdDatabase: createdDatabase)
        }
    }

    /// Throws unless the system database is usable as it is. Changes nothing.
    package func verify() async throws -> MigrationReport {
        let (connection, _) = try await connect(mayCreate: false)
        return try await closing(connection) {
            let look = try await look(on: connection, mode: .verify)
            return try MigrationReport(
                createdDatabase: false,
                dbos: look.dbos.verified(),
                holdfast: look.holdfast.verified()
            )
        }
    }

    private func settle(on connection: PostgresConnection, createdDatabase: Bool) async throws -> MigrationReport {
        let look = try await look(on: connection, mode: .migrate)
        // The usual start: nobody else is disturbed and no privilege is needed.
        if let dbos = look.dbos.standing, let holdfast = look.holdfast.standing {
            return MigrationReport(createdDatabase: createdDatabase, dbos: dbos, holdfast: holdfast)
        }
        // Refusals, too, are decided under the lock: another SDK may be half-way through its own numbers just now.
        let lock = try await MigrationLock.acquire(configuration, timing: timing, logger: logger)
        do {
            let dbos = try await DBOSMigration(connection, names.dbos, timing, logger).run(found: look.dbos.found)
            let holdfast = try await HoldfastMigration(connection, names.holdfast, logger).run(
                found: look.holdfast.found
            )
            await lock?.release()
            return MigrationReport(createdDatabase: createdDatabase, dbos: dbos, holdfast: holdfast)
        } catch {
            await lock?.release()
            throw error
        }
    }

    private func look(
        on connection: PostgresConnection,
        mode: ConnectDecision.Mode
    ) async throws -> (dbos: Look, holdfast: Look) {
        let inspector = SchemaInspector(connection: connection)
        if let refusal = ConnectDecision.unsupported(try await inspector.server()) { throw refusal }
        let dbos = try await inspector.dbos(names.dbos)
        let holdfast = try await inspector.holdfast(names.holdfast)
        let look = (
            dbos: Look(found: dbos.version, decision: .dbos(dbos, schema: names.dbos, mode: mode)),
            holdfast: Look(found: holdfast.version, decision: .holdfast(holdfast, schema: names.holdfast, mode: mode))
        )
        for (schema, look) in [(names.dbos, look.dbos), (names.holdfast, look.holdfast)] {
            guard case .proceed(.ahead) = look.decision else { continue }
            logger.notice(
                "A newer program has migrated the schema; going on with what this build knows of it",
                metadata: ["schema": "\(schema.text)", "version": "\(look.found)"]
            )
        }
        return look
    }

    private func closing<Value>(
        _ connection: PostgresConnection,
        _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            let value = try await body()
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw explained(error)
        }
    }

    /// A missing privilege is for a human to grant, and waiting does not help.
    private func explained(_ error: any Error) -> any Error {
        guard let error = error as? PostgresError, error.sqlState == "42501" else { return error }
        return MigrationError(
            .insufficientPrivilege,
            "The role may not do what the system database needs: \(error.message). To run, it needs USAGE on the schemas"
                + " \(names.dbos) and \(names.holdfast) and all privileges on their tables, sequences and functions; to"
                + " create or upgrade them it must own them. Grant that, or migrate with another role beforehand."
        )
    }
}

/// What the first look at a schema gave.
private struct Look {
    var found: Int
    var decision: ConnectDecision

    /// How the schema stands, if nothing has to be done about it.
    var standing: MigrationReport.Schema? {
        guard case .proceed(let outcome) = decision else { return nil }
        return MigrationReport.Schema(outcome: outcome, found: found, version: found)
    }

    /// How the schema stands. For looks in mode `verify`, which know only proceeding and refusing.
    func verified() throws -> MigrationReport.Schema {
        if case .refuse(let error) = decision { throw error }
        guard let standing else { preconditionFailure("verifying never decides to change anything: \(decision)") }
        return standing
    }
}
