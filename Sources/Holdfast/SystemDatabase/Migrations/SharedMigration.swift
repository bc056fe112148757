// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One numbered change of the DBOS schema, the same in every SDK.
struct SharedMigration: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        /// Statements that share a transaction with the write of the version.
        case transactional([String])
        /// Builds an index without blocking writers, outside a transaction.
        case createIndex(DBOSIndex)
        /// Drops an index without blocking anybody, outside a transaction.
        case dropIndex(String)
    }

    let number: Int
    let step: Step
}

extension SharedMigration {
    /// The migrations after `version`, in order.
    ///
    /// Every statement tolerates that it ran before: an SDK that writes the version apart from the change may have died
    /// between the two.
    static func pending(after version: Int, in schema: SchemaName) -> [SharedMigration] {
        (version + 1..<DBOSSchema.knownVersion + 1).map { SharedMigration(number: $0, step: step($0, in: schema)) }
    }

    private static func step(_ number: Int, in schema: SchemaName) -> Step {
        switch number {
        case 100: .transactional([addColumn("application_name TEXT", to: "workflow_status", in: schema)])
        case 101: .transactional([addColumn("application_name TEXT", to: "queues", in: schema)])
        case 102: .transactional([addColumn("application_name TEXT", to: "workflow_schedules", in: schema)])
        case 103: .transactional([addColumn("application_name TEXT", to: "application_versions", in: schema)])
        case 104: .transactional([addColumn("application_name TEXT", to: "operation_outputs", in: schema)])
        case 105:
            .transactional([
                // With the shorter function still there, calls that name few arguments would be ambiguous.
                "DROP FUNCTION IF EXISTS \(schema).\(DBOSSchema.formerEnqueueSignature)",
                DBOSSchema.enqueueFunction(in: schema, storage: .statusColumn),
            ])
        case 106: .transactional([createIndex("uq_application_versions_owner_version", in: schema)])
        case 107: .createIndex(DBOSSchema.index("uq_application_versions_unclaimed_version"))
        case 108:
            .transactional([
                addColumn("partition_concurrency INT4", to: "queues", in: schema),
                addColumn("partition_worker_concurrency INT4", to: "queues", in: schema),
                addColumn("partition_rate_limit_max INT4", to: "queues", in: schema),
                addColumn("partition_rate_limit_period_sec DOUBLE PRECISION", to: "queues", in: schema),
            ])
        case 109:
            .transactional([
                DBOSSchema.workflowInputTable(in: schema),
                DBOSSchema.workflowOutputTable(in: schema),
                createIndex("idx_workflow_input_retention", in: schema),
                createIndex("idx_workflow_output_retention", in: schema),
            ])
        case 110: .transactional([addColumn(DBOSSchema.retentionColumn, to: "operation_outputs", in: schema)])
        case 111: .createIndex(DBOSSchema.index("idx_operation_outputs_retention"))
        case 112:
            .transactional([
                // The first is what TypeScript called it.
                dropConstraint("operation_outputs_workflow_uuid_foreign", of: "operation_outputs", in: schema),
                dropConstraint("operation_outputs_workflow_uuid_fkey", of: "operation_outputs", in: schema),
            ])
        case 113: .transactional([DBOSSchema.enqueueFunction(in: schema, storage: .inputTable)])
        case 114: .dropIndex("idx_notifications")
        case 115: .createIndex(DBOSSchema.index("idx_workflow_status_in_flight_v2"))
        case 116: .dropIndex("idx_workflow_status_in_flight")
        case 117: .createIndex(DBOSSchema.index("idx_workflow_status_partition_dequeue_v3"))
        case 118: .dropIndex("idx_workflow_status_partition_dequeue_v2")
        case 119: .createIndex(DBOSSchema.index("idx_operation_outputs_completed_at_function_name_v2"))
        case 120: .dropIndex("idx_operation_outputs_completed_at_function_name")
        case 121: .transactional([addColumn("consumed_by_function_id INT4", to: "notifications", in: schema)])
        case 122: .createIndex(DBOSSchema.index("idx_workflow_status_deadline"))
        case 123: .transactional([addColumn("creator_xid TEXT", to: "workflow_status", in: schema)])
        case 124: .createIndex(DBOSSchema.index("idx_application_versions_timestamp"))
        case 125: .createIndex(DBOSSchema.index("idx_application_versions_owner_timestamp"))
        default: preconditionFailure("there is no shared migration \(number)")
        }
    }

    private static func addColumn(_ definition: String, to table: String, in schema: SchemaName) -> String {
        "ALTER TABLE \(schema).\(table) ADD COLUMN IF NOT EXISTS \(definition)"
    }

    private static func dropConstraint(_ name: String, of table: String, in schema: SchemaName) -> String {
        "ALTER TABLE \(schema).\(table) DROP CONSTRAINT IF EXISTS \(name)"
    }

    private static func createIndex(_ name: String, in schema: SchemaName) -> String {
        DBOSSchema.index(name).create(in: schema, on: .upgrade)
    }
}
