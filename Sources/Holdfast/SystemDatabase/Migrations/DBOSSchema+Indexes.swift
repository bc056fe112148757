// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension DBOSSchema {
    /// The index of that name.
    static func index(_ name: String) -> DBOSIndex {
        guard let index = indexes.first(where: { $0.name == name }) else {
            preconditionFailure("no index \(name) is defined")
        }
        return index
    }

    /// The indexes at level 125.
    static let indexes: [DBOSIndex] = [
        DBOSIndex(
            name: "workflow_status_created_at_index",
            table: "workflow_status",
            definition: "(created_at)"
        ),
        DBOSIndex(
            name: "idx_workflow_status_pending",
            table: "workflow_status",
            definition: "(created_at) WHERE status = 'PENDING'"
        ),
        DBOSIndex(
            name: "idx_workflow_status_failed",
            table: "workflow_status",
            definition: """
                (status, created_at) \
                WHERE status IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
                """
        ),
        DBOSIndex(
            name: "idx_workflow_status_in_flight_v2",
            table: "workflow_status",
            definition: """
                (queue_name, status, priority, created_at) \
                INCLUDE (application_name) \
                WHERE status IN ('ENQUEUED', 'PENDING')
                """
        ),
        DBOSIndex(
            name: "idx_workflow_status_partition_dequeue_v3",
            table: "workflow_status",
            definition: """
                (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) \
                INCLUDE (application_name) \
                WHERE status IN ('ENQUEUED', 'PENDING') AND queue_partition_key IS NOT NULL
                """
        ),
        DBOSIndex(
            name: "idx_workflow_status_rate_limited",
            table: "workflow_status",
            definition: "(queue_name, started_at_epoch_ms) WHERE rate_limited = TRUE"
        ),
        DBOSIndex(
            name: "idx_workflow_status_delayed",
            table: "workflow_status",
            definition: "(delay_until_epoch_ms) WHERE status = 'DELAYED'"
        ),
        DBOSIndex(
            name: "idx_workflow_status_deadline",
            table: "workflow_status",
            definition: """
                (workflow_deadline_epoch_ms) \
                WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED') AND workflow_deadline_epoch_ms IS NOT NULL
                """
        ),
        DBOSIndex(
            name: "idx_workflow_status_completed_at",
            table: "workflow_status",
            definition: "(completed_at) WHERE completed_at IS NOT NULL"
        ),
        DBOSIndex(
            name: "idx_workflow_status_started_at",
            table: "workflow_status",
            definition: "(started_at_epoch_ms) WHERE started_at_epoch_ms IS NOT NULL"
        ),
        DBOSIndex(
            name: "idx_workflow_status_forked_from",
            table: "workflow_status",
            definition: "(forked_from) WHERE forked_from IS NOT NULL"
        ),
        DBOSIndex(
            name: "idx_workflow_status_parent_workflow_id",
            table: "workflow_status",
            definition: "(parent_workflow_id) WHERE parent_workflow_id IS NOT NULL"
        ),
        DBOSIndex(
            name: "idx_workflow_status_schedule_name",
            table: "workflow_status",
            definition: "(schedule_name) WHERE schedule_name IS NOT NULL"
        ),
        DBOSIndex(
            name: "idx_workflow_status_attributes",
            table: "workflow_status",
            definition: "USING gin (attributes) WHERE attributes IS NOT NULL"
        ),
        DBOSIndex(
            name: "uq_workflow_status_dedup_id",
            table: "workflow_status",
            isUnique: true,
            definition: "(queue_name, deduplication_id) WHERE deduplication_id IS NOT NULL"
        ),
        DBOSIndex(
            name: "idx_workflow_topic",
            table: "notifications",
            definition: "(destination_uuid, topic)"
        ),
        DBOSIndex(
            name: "idx_operation_outputs_completed_at_function_name_v2",
            table: "operation_outputs",
            definition: "(completed_at_epoch_ms, function_name) INCLUDE (application_name)"
        ),
        DBOSIndex(
            name: "idx_operation_outputs_retention",
            table: "operation_outputs",
            definition: "(retention_timestamp)"
        ),
        DBOSIndex(
            name: "idx_workflow_input_retention",
            table: "workflow_input",
            definition: "(retention_timestamp)"
        ),
        DBOSIndex(
            name: "idx_workflow_output_retention",
            table: "workflow_output",
            definition: "(retention_timestamp)"
        ),
        DBOSIndex(
            name: "uq_application_versions_owner_version",
            table: "application_versions",
            isUnique: true,
            definition: "(application_name, version_name) WHERE application_name IS NOT NULL"
        ),
        DBOSIndex(
            name: "uq_application_versions_unclaimed_version",
            table: "application_versions",
            isUnique: true,
            definition: "(version_name) WHERE application_name IS NULL"
        ),
        DBOSIndex(
            name: "idx_application_versions_timestamp",
            table: "application_versions",
            definition: "(version_timestamp DESC)"
        ),
        DBOSIndex(
            name: "idx_application_versions_owner_timestamp",
            table: "application_versions",
            definition: "(application_name, version_timestamp DESC)"
        ),
    ]
}
