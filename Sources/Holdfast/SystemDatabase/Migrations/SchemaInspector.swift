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
        var inspection = SchemaInspection(schemaExists: !rows.isEmpty)
        for row in rows {
            guard let relation = try row.optionalString(0) else { continue }
            inspection.columns[relation, default: []].formUnion(try row.optionalString(1).map { [$0] } ?? [])
        }
        if inspection.columns[versionTable]?.contains("version") == true {
            let recorded = try await connection.execute(
                PostgresQuery("SELECT version::int8 FROM \(schema).\(versionTable) ORDER BY 1")
            )
            inspection.versions = try recorded.map { try $0.int(0) }
        }
        return inspection
    }

    func dbos(_ schema: SchemaName) async throws -> SchemaInspection {
        try await self.schema(schema, relations: DBOSSchema.relations, versionTable: DBOSSchema.versionTable)
    }

    func holdfast(_ schema: SchemaName) async throws -> SchemaInspection {
        try await self.schema(schema, relations: HoldfastSchema.relations, versionTable: HoldfastSchema.versionTable)
    }
}
