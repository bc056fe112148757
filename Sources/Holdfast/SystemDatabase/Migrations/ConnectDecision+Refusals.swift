// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The sentences an operator reads: what is wrong, where, and what to do.
extension ConnectDecision {
    static func sharded(_ schema: SchemaName) -> MigrationError {
        MigrationError(
            .sharded,
            "Schema \(schema) is laid out for DBOS sharding: workflow_status has a column shard_key, which every"
                + " statement must name and Holdfast's do not. Use another schema or database for Holdfast."
        )
    }

    static func severalVersions(_ found: SchemaInspection, _ schema: SchemaName) -> MigrationError {
        let rows = found.versions.map(String.init).joined(separator: ", ")
        return MigrationError(
            .foreignLayout,
            "Table \(schema).\(DBOSSchema.versionTable) must hold one row and holds \(found.versions.count) (\(rows))."
                + " Find out which version the schema really has, and delete the other rows."
        )
    }

    static func behind(_ found: SchemaInspection, _ schema: SchemaName, _ known: Int) -> MigrationError {
        let state =
            found.version > 0 ? "is at version \(found.version)" : found.schemaExists ? "is empty" : "does not exist"
        return MigrationError(
            .behind,
            "Schema \(schema) \(state), but this program needs version \(known) and may not migrate. Migrate it with"
                + " a role that may create tables, or start this program with migrations on."
        )
    }

    static func unknownLineage(_ found: SchemaInspection, _ schema: SchemaName) -> MigrationError {
        MigrationError(
            .unknownLineage,
            "Schema \(schema) is at version \(found.version). Below 100 every SDK counts for itself, and nothing tells"
                + " which of them counted here. Migrate it once with a current release of the SDK that created it; from"
                + " version 99 on Holdfast can go on. If such a migration is running right now, wait for its end."
        )
    }

    /// Tables of ours without a version: whoever made them, it was no SDK.
    static func unversioned(
        _ found: SchemaInspection,
        _ strangers: [String],
        _ schema: SchemaName
    ) -> MigrationError {
        let tables = strangers.isEmpty ? "a version table of another kind" : strangers.joined(separator: ", ")
        return MigrationError(
            .foreignLayout,
            "Schema \(schema) records no version, yet already holds \(tables). These are not Holdfast's, and nothing was"
                + " changed. Configure another schema name, or move what is there out of the way."
        )
    }

    static func incomplete(
        _ found: SchemaInspection,
        _ missing: String,
        _ schema: SchemaName,
        isAhead: Bool
    ) -> MigrationError {
        let cure =
            isAhead
            ? "A newer program has migrated it further than this build can follow: use a newer release of Holdfast."
            : "Somebody has altered it, or it belongs to another program: restore it, or configure another schema name."
        return MigrationError(
            .foreignLayout,
            "Schema \(schema) records version \(found.version) but lacks \(missing). \(cure)"
        )
    }
}
