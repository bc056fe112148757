// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What to do about a schema that was found. Pure rules, apart from the reading before and the doing after.
package enum ConnectDecision: Sendable, Hashable {
    package enum Mode: Sendable, Hashable {
        /// Create and upgrade what has to be.
        case migrate
        /// Never change anything; a schema that would need it is an error.
        case verify
    }

    /// The schema can be used as it is.
    case proceed(MigrationReport.Outcome)
    case create
    case upgrade(from: Int)
    case refuse(MigrationError)
}

extension ConnectDecision {
    /// Whether the server will do at all.
    package static func unsupported(_ server: ServerInspection) -> MigrationError? {
        let cure = "Holdfast needs Postgres 14 or newer."
        // It presents itself as Postgres 13 or newer, but lacks advisory locks and NOTIFY.
        if server.product.lowercased().contains("cockroachdb") {
            return MigrationError(.unsupportedServer, "The server is CockroachDB. \(cure)")
        }
        guard server.version >= 14_00_00 else {
            return MigrationError(.unsupportedServer, "The server is \(server.product.prefix(40)). \(cure)")
        }
        return nil
    }

    /// The rules for the schema that all SDKs share.
    package static func dbos(
        _ found: SchemaInspection,
        schema: SchemaName,
        mode: Mode,
        known: Int = DBOSSchema.knownVersion
    ) -> ConnectDecision {
        if found.columns["workflow_status"]?.contains("shard_key") == true {
            return .refuse(sharded(schema))
        }
        guard found.versions.count <= 1 else {
            return .refuse(severalVersions(found, schema))
        }
        switch found.version {
        case ..<1:
            let strangers = found.columns.keys.filter { $0 != DBOSSchema.versionTable }.sorted()
            let hasForeignVersionTable = found.columns[DBOSSchema.versionTable].map { !$0.contains("version") } ?? false
            guard strangers.isEmpty, !hasForeignVersionTable else {
                return .refuse(unversioned(found, strangers, schema))
            }
            return mode == .migrate ? .create : .refuse(behind(found, schema, known))
        case ..<DBOSSchema.sharedBase:
            return .refuse(unknownLineage(found, schema))
        case let version:
            if let missing = found.missing(from: DBOSSchema.layout(at: min(version, known))) {
                return .refuse(incomplete(found, missing, schema, isAhead: version > known))
            }
            if version >= known { return .proceed(version == known ? .current : .ahead) }
            return mode == .migrate ? .upgrade(from: version) : .refuse(behind(found, schema, known))
        }
    }

    /// The rules for Holdfast's own schema.
    package static func holdfast(
        _ found: SchemaInspection,
        schema: SchemaName,
        mode: Mode,
        known: Int = HoldfastSchema.knownVersion
    ) -> ConnectDecision {
        let version = found.version
        guard version > 0 else {
            let strangers = found.columns.keys.filter { $0 != HoldfastSchema.versionTable }.sorted()
            let hasForeignVersionTable =
                found.columns[HoldfastSchema.versionTable].map { !$0.contains("version") } ?? false
            guard strangers.isEmpty, !hasForeignVersionTable else {
                return .refuse(unversioned(found, strangers, schema))
            }
            return mode == .migrate ? .create : .refuse(behind(found, schema, known))
        }
        if let missing = found.missing(from: HoldfastSchema.layout(at: min(version, known))) {
            return .refuse(incomplete(found, missing, schema, isAhead: version > known))
        }
        if version >= known { return .proceed(version == known ? .current : .ahead) }
        return mode == .migrate ? .upgrade(from: version) : .refuse(behind(found, schema, known))
    }
}
