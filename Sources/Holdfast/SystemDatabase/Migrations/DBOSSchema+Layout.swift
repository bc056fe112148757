// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension DBOSSchema {
    /// Every relation name of the schema at ``knownVersion``. A schema without a version that holds one of them is
    /// somebody else's.
    static let relations: Set<String> = Set(layout(at: knownVersion).keys).union([versionTable, "event_dispatch_kv"])

    /// The tables and columns that must be there at a level for this build to work, or to upgrade to its own.
    ///
    /// `event_dispatch_kv` and `workflow_status.request` are left out: no statement here touches them, so a later level
    /// may drop them.
    static func layout(at version: Int) -> [String: Set<String>] {
        var layout = baseLayout.mapValues { Set($0.split(separator: " ").map(String.init)) }
        for addition in additions where addition.since <= version {
            layout[addition.table, default: []].formUnion(addition.columns.split(separator: " ").map(String.init))
        }
        return layout
    }

    /// The columns of level ``sharedBase``.
    private static let baseLayout: [String: String] = [
        "workflow_status": """
        workflow_uuid status name authenticated_user assumed_role authenticated_roles output error executor_id \
        created_at updated_at application_version application_id class_name config_name recovery_attempts queue_name \
        workflow_timeout_ms workflow_deadline_epoch_ms inputs started_at_epoch_ms deduplication_id priority \
        queue_partition_key forked_from owner_xid parent_workflow_id serialization delay_until_epoch_ms \
        was_forked_from rate_limited completed_at attributes schedule_name debounce_deadline_epoch_ms is_debounced
        """,
        "operation_outputs": """
        workflow_uuid function_id function_name output error child_workflow_id started_at_epoch_ms \
        completed_at_epoch_ms serialization
        """,
        "notifications": "message_uuid destination_uuid topic message created_at_epoch_ms serialization consumed",
        "workflow_events": "workflow_uuid key value serialization",
        "workflow_events_history": "workflow_uuid function_id key value serialization",
        "streams": "workflow_uuid key value offset function_id serialization",
        "workflow_schedules": """
        schedule_id schedule_name workflow_name workflow_class_name schedule status context last_fired_at \
        automatic_backfill cron_timezone queue_name
        """,
        "application_versions": "version_id version_name version_timestamp created_at",
        "queues": """
        queue_id name concurrency worker_concurrency rate_limit_max rate_limit_period_sec priority_enabled \
        partition_queue polling_interval_sec created_at updated_at
        """,
    ]

    /// What the shared migrations added to it.
    private static let additions: [(since: Int, table: String, columns: String)] = [
        (100, "workflow_status", "application_name"),
        (101, "queues", "application_name"),
        (102, "workflow_schedules", "application_name"),
        (103, "application_versions", "application_name"),
        (104, "operation_outputs", "application_name"),
        (
            108, "queues",
            "partition_concurrency partition_worker_concurrency partition_rate_limit_max partition_rate_limit_period_sec"
        ),
        (109, "workflow_input", "workflow_uuid inputs retention_timestamp"),
        (109, "workflow_output", "workflow_uuid output error retention_timestamp"),
        (110, "operation_outputs", "retention_timestamp"),
        (121, "notifications", "consumed_by_function_id"),
        (123, "workflow_status", "creator_xid"),
    ]
}
