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
            let report = try await settle(on: connection, createdDatabase: createdDatabase)
            noteNewerSchemas(report)
            return report
        }
    }

    /// Throws unless the system database is usable as it is. Changes nothing.
    package func verify() async throws -> MigrationReport {
        let (connection, _) = try await connect(mayCreate: false)
        return try await closing(connection) {
            let report = try await look(on: connection, mode: .verify).verified()
            noteNewerSchemas(report)
            return report
        }
    }

    private func settle(on connection: PostgresConnection, createdDatabase: Bool) async throws -> MigrationReport {
        let first = try await look(on: connection, mode: .migrate)
        // The usual start: nobody else is disturbed and no privilege is needed.
        if let report = first.report(createdDatabase) { return report }
        // Refusals, too, are decided under the lock: another SDK may be half-way through its own numbers just now.
        let lock = try await MigrationLock.acquire(configuration, timing: timing, logger: logger)
        do {
            let report = try await settle(on: connection, createdDatabase: createdDatabase, after: first, lock)
            await lock.release()
            return report
        } catch {
            await lock.release()
            throw error
        }
    }

    private func settle(
        on connection: PostgresConnection,
        createdDatabase: Bool,
        after first: Look,
        _ lock: MigrationLock
    ) async throws -> MigrationReport {
        // The holder before us may have done it all. Then nobody waits for the lock of the other SDKs once more.
        var second = try await look(on: connection, mode: .migrate)
        second.dbos.found = first.dbos.found
        second.holdfast.found = first.holdfast.found
        if let report = second.report(createdDatabase) { return report }
        try await lock.acquireShared()
        let dbos = try await DBOSMigration(connection, names.dbos, timing, logger).run(found: first.dbos.found)
        let holdfast = try await HoldfastMigration(connection, names, timing, logger).run(found: first.holdfast.found)
        return MigrationReport(createdDatabase: createdDatabase, dbos: dbos, holdfast: holdfast)
    }

    private func look(on connection: PostgresConnection, mode: ConnectDecision.Mode) async throws -> Look {
        let inspector = SchemaInspector(connection: connection)
        if let refusal = ConnectDecision.unsupported(try await inspector.server()) { throw refusal }
        let dbos = try await inspector.dbos(names.dbos)
        let holdfast = try await inspector.holdfast(names.holdfast)
        return Look(
            dbos: .init(dbos, .dbos(dbos, schema: names.dbos, mode: mode)),
            holdfast: .init(holdfast, .holdfast(holdfast, schema: names.holdfast, mode: mode))
        )
    }

    private func noteNewerSchemas(_ report: MigrationReport) {
        for (schema, state) in [(names.dbos, report.dbos), (names.holdfast, report.holdfast)] where state.isAhead {
            logger.notice(
                "A newer program has migrated the schema; going on with what this build knows of it",
                metadata: ["schema": "\(schema.text)", "version": "\(state.version)"]
            )
        }
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
