// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Holdfast's own schema: what the fleet knows about itself. Other SDKs never look into it, so it has its own numbering.
enum HoldfastSchema {
    static let knownVersion = 4
    static let versionTable = "migrations"
    static let relations: Set<String> = Set(layout(at: knownVersion).keys).union([versionTable])

    /// The tables, views and columns of a version.
    static func layout(at version: Int) -> [String: Set<String>] {
        additions.prefix(max(0, version)).reduce(into: [:]) { layout, additions in
            layout.merge(additions.mapValues { Set($0.split(separator: " ").map(String.init)) }) { $0.union($1) }
        }
    }

    /// What each version adds, the first one first.
    private static let additions: [[String: String]] = [
        membershipLayout, autoscalingLayout, beginningsLayout, retirementLayout,
    ]

    private static let autoscalingLayout = [
        "autoscaling": """
        application_name application_version is_latest enqueued due delayed pending waiting oldest_open_at live_executors \
        slots_per_executor demand desired_executors
        """
    ]

    private static let beginningsLayout = ["executors": "began life"]

    private static let retirementLayout = [
        "retired_versions": "application_name version_name version_timestamp retired_at"
    ]

    private static let membershipLayout: [String: String] = [
        "executors": """
        incarnation executor_id application_name application_version state host pid capacity running workflows queues \
        drain_requested lease_ms started_at renewed_at lease_expires_at lock_key session_server_epoch ended_at ended_by end_reason reclaimed_at
        """,
        "takeovers": """
        id workflow_uuid from_executor_id from_incarnation by_executor_id by_incarnation application_version reason \
        strikes cleared decision at
        """,
        "replay_checks": """
        id request_id workflow_uuid application_name application_version requested_at verdict step detail checked_by
        """,
    ]

    /// The statements that lead from a version to ``knownVersion``, to be run in one transaction.
    ///
    /// Each migration adds a row instead of changing one, so the table also tells when a database was migrated.
    static func statements(after version: Int, in names: SchemaNames, schemaExists: Bool) -> String {
        let schema = names.holdfast
        var parts: [String] = []
        if version == 0 {
            // Even IF NOT EXISTS asks for the privilege to create schemas, which the owner of a prepared one may lack.
            if !schemaExists { parts.append("CREATE SCHEMA \(schema);") }
            parts.append(
                """
                CREATE TABLE IF NOT EXISTS \(schema).\(versionTable) (
                  version INT8 PRIMARY KEY,
                  applied_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp());
                """
            )
        }
        for number in version + 1..<knownVersion + 1 {
            parts.append(migration(number, in: names))
            parts.append("INSERT INTO \(schema).\(versionTable) (version) VALUES (\(number));")
        }
        return parts.joined(separator: "\n")
    }

    private static func migration(_ number: Int, in names: SchemaNames) -> String {
        switch number {
        case 1: membership(in: names.holdfast)
        case 2: autoscaling(in: names)
        case 3: beginnings(in: names.holdfast)
        case 4: retirement(in: names.holdfast)
        default: preconditionFailure("there is no migration \(number)")
        }
    }
}
