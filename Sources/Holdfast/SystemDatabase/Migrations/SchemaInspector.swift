// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// Reads inspections from a database. Needs no privilege but to read the version table.
struct SchemaInspector {
    let connection: PostgresConnection

    func server() async throws -> ServerInspection {
        let row = try await connection.execute("SELECT version()")
        return ServerInspection(product: try row[0].string(0), version: connection.serverVersion)
    }

    /// - Parameters:
    ///   - relations: the names to look for.
    ///   - versionTable: the one among them whose column `version` holds the recorded versions.
    func schema(
        _ schema: SchemaName,
        relations: Set<String>,
        versionTable: String
    ) async throws -> SchemaInspection {
        // The columns as they are *after* the version was read: migrations of somebody else may be running, and they add
        // columns, so what belongs to the version is there by then.
        var before = try await columns(of: schema, relations)
        while true {
            var versions: [Int] = []
            let isVersioned = before?[versionTable]?.contains("version") == true
            if isVersioned { versions = try await recordedVersions(schema, versionTable) }
            let after = try await columns(of: schema, relations)
            guard !isVersioned, after?[versionTable]?.contains("version") == true else {
                return SchemaInspection(schemaExists: after != nil, columns: after ?? [:], versions: versions)
            }
            before = after
        }
    }

    /// The columns of the relations, `nil` without the schema.
    private func columns(of schema: SchemaName, _ relations: Set<String>) async throws -> [String: Set<String>]? {
        // The catalog and not information_schema, which hides from a role the columns it has no privilege on.
        let rows = try await connection.execute(
            PostgresQuery(
                """
                SELECT c.relname::text, a.attname::text
                FROM pg_catalog.pg_namespace n
                LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = ANY ($2)
                LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE n.nspname = $1
                """,
                [.text(schema.text), .textArray(relations.sorted())]
            )
        )
        guard !rows.isEmpty else { return nil }
        var columns: [String: Set<String>] = [:]
        for row in rows {
            guard let relation = try row.optionalString(0) else { continue }
            columns[relation, default: []].formUnion(try row.optionalString(1).map { [$0] } ?? [])
        }
        return columns
    }

    private func recordedVersions(_ schema: SchemaName, _ table: String) async throws -> [Int] {
        let rows = try await connection.execute(
            PostgresQuery("SELECT version::int8 FROM \(schema).\(table) ORDER BY 1")
        )
        return try rows.map { try $0.int(0) }
    }

    func dbos(_ schema: SchemaName) async throws -> SchemaInspection {
        try await self.schema(schema, relations: DBOSSchema.relations, versionTable: DBOSSchema.versionTable)
    }

    func holdfast(_ schema: SchemaName) async throws -> SchemaInspection {
        try await self.schema(schema, relations: HoldfastSchema.relations, versionTable: HoldfastSchema.versionTable)
    }
}
