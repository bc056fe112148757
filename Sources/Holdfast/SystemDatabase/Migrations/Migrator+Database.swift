// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging

extension Migrator {
    /// Connects, to a database made for the purpose if there is none and it may be made.
    func connect(mayCreate: Bool) async throws -> (connection: PostgresConnection, createdDatabase: Bool) {
        do {
            return (try await PostgresConnection.connect(configuration, logger: logger), false)
        } catch {
            guard error.sqlState == Self.noSuchDatabase else { throw error }
            guard mayCreate else {
                throw MigrationError(
                    .databaseMissing,
                    "The system database does not exist (\(error.message)). Create it, or start this program with"
                        + " migrations on and a role that may create databases."
                )
            }
            try await createDatabase(because: error)
            return (try await PostgresConnection.connect(configuration, logger: logger), true)
        }
    }

    private func createDatabase(because missing: PostgresError) async throws {
        guard let name = try configuration.databaseName() else {
            throw MigrationError(
                .databaseMissing,
                "The system database does not exist (\(missing.message)), and the connection string does not tell its"
                    + " name, so it cannot be created. Create it, or name it in the connection string."
            )
        }
        do {
            let maintenance = try configuration.connecting(toDatabase: "postgres")
            let connection = try await PostgresConnection.connect(maintenance, logger: logger)
            _ = try await connection.execute(PostgresQuery("CREATE DATABASE \(SQLText.identifier(name))"))
            await connection.close()
            logger.info("Created the system database", metadata: ["database": "\(name)"])
        } catch {
            // Another process was quicker.
            if Self.alreadyExists.contains(error.sqlState) { return }
            if error.isTransient { throw error }
            throw MigrationError(
                .databaseMissing,
                "The system database \(SQLText.identifier(name)) does not exist and could not be created through the"
                    + " database postgres (\(error.message)). Create it with a role that may:"
                    + " CREATE DATABASE \(SQLText.identifier(name))"
            )
        }
    }

    private static let noSuchDatabase = "3D000"
    /// The second is what the loser of a race for the catalog's row gets.
    private static let alreadyExists: Set<String?> = ["42P04", "23505"]
}
