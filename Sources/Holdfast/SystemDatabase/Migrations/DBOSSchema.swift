// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The schema that all SDKs share, at the level this build knows.
enum DBOSSchema {
    /// The newest shared migration this build knows.
    static let knownVersion = 125

    /// Where the shared numbering begins. Up to here each language counts for itself, and all of them end at the same
    /// tables; from here on a number means the same change everywhere.
    static let sharedBase = 99

    static let versionTable = "dbos_migrations"

    /// The statements that create a schema at ``knownVersion``, to be run in one transaction.
    ///
    /// The final objects and not their history, under the names the history has given them.
    static func creation(in schema: SchemaName, schemaExists: Bool) -> String {
        [
            // Even IF NOT EXISTS asks for the privilege to create schemas, which the owner of a prepared one may lack.
            schemaExists ? "" : "CREATE SCHEMA \(schema);",
            "CREATE TABLE IF NOT EXISTS \(schema).\(versionTable) (version BIGINT NOT NULL PRIMARY KEY);",
            tables(in: schema),
            indexes.map { $0.create(in: schema, on: .creation) + ";" }.joined(separator: "\n"),
            notificationTrigger(in: schema),
            enqueueFunction(in: schema, storage: .inputTable) + ";",
            sendFunction(in: schema),
            "INSERT INTO \(schema).\(versionTable) (version) VALUES (\(knownVersion));",
        ].joined(separator: "\n")
    }
}
