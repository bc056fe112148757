// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension DBOSSchema {
    /// The tables at level 125.
    ///
    /// The names of the constraints follow from these definitions, and later shared migrations address them by name.
    static func tables(in schema: SchemaName) -> String {
        """
        CREATE TABLE \(schema).workflow_status (
          workflow_uuid TEXT PRIMARY KEY,
          status TEXT, name TEXT, authenticated_user TEXT, assumed_role TEXT, authenticated_roles TEXT, request TEXT,
          output TEXT, error TEXT, executor_id TEXT,
          created_at BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint,
          updated_at BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint,
          application_version TEXT, application_id TEXT,
          class_name VARCHAR(255) DEFAULT NULL, config_name VARCHAR(255) DEFAULT NULL,
          recovery_attempts BIGINT DEFAULT 0, queue_name TEXT,
          workflow_timeout_ms BIGINT, workflow_deadline_epoch_ms BIGINT, inputs TEXT, started_at_epoch_ms BIGINT,
          deduplication_id TEXT, priority INT4 NOT NULL DEFAULT 0, queue_partition_key TEXT, forked_from TEXT,
          owner_xid TEXT, parent_workflow_id TEXT, serialization TEXT, delay_until_epoch_ms BIGINT,
          was_forked_from BOOLEAN NOT NULL DEFAULT FALSE, rate_limited BOOLEAN NOT NULL DEFAULT FALSE,
          completed_at BIGINT, attributes JSONB, schedule_name TEXT, debounce_deadline_epoch_ms BIGINT,
          is_debounced BOOLEAN NOT NULL DEFAULT FALSE, application_name TEXT, creator_xid TEXT);

        \(workflowInputTable(in: schema));
        \(workflowOutputTable(in: schema));
        CREATE TABLE \(schema).operation_outputs (
          workflow_uuid TEXT NOT NULL, function_id INT4 NOT NULL, function_name TEXT NOT NULL DEFAULT '',
          output TEXT, error TEXT, child_workflow_id TEXT, started_at_epoch_ms BIGINT, completed_at_epoch_ms BIGINT,
          serialization TEXT, application_name TEXT,
          \(retentionColumn),
          PRIMARY KEY (workflow_uuid, function_id));
        CREATE TABLE \(schema).notifications (
          message_uuid TEXT NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
          destination_uuid TEXT NOT NULL REFERENCES \(schema).workflow_status (workflow_uuid)
            ON UPDATE CASCADE ON DELETE CASCADE,
          topic TEXT, message TEXT NOT NULL,
          created_at_epoch_ms BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint,
          serialization TEXT, consumed BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INT4);
        CREATE TABLE \(schema).workflow_events (
          workflow_uuid TEXT NOT NULL REFERENCES \(schema).workflow_status (workflow_uuid)
            ON UPDATE CASCADE ON DELETE CASCADE,
          key TEXT NOT NULL, value TEXT NOT NULL, serialization TEXT, PRIMARY KEY (workflow_uuid, key));
        CREATE TABLE \(schema).workflow_events_history (
          workflow_uuid TEXT NOT NULL REFERENCES \(schema).workflow_status (workflow_uuid)
            ON UPDATE CASCADE ON DELETE CASCADE,
          function_id INT4 NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, serialization TEXT,
          PRIMARY KEY (workflow_uuid, function_id, key));
        CREATE TABLE \(schema).streams (
          workflow_uuid TEXT NOT NULL REFERENCES \(schema).workflow_status (workflow_uuid)
            ON UPDATE CASCADE ON DELETE CASCADE,
          key TEXT NOT NULL, value TEXT NOT NULL, "offset" INT4 NOT NULL, function_id INT4 NOT NULL DEFAULT 0,
          serialization TEXT, PRIMARY KEY (workflow_uuid, key, "offset"));
        CREATE TABLE \(schema).workflow_schedules (
          schedule_id TEXT NOT NULL PRIMARY KEY, schedule_name TEXT NOT NULL UNIQUE,
          workflow_name TEXT NOT NULL,
          workflow_class_name TEXT, schedule TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'ACTIVE',
          context TEXT NOT NULL,
          last_fired_at TEXT, automatic_backfill BOOLEAN NOT NULL DEFAULT FALSE, cron_timezone TEXT, queue_name TEXT,
          application_name TEXT);
        CREATE TABLE \(schema).application_versions (
          version_id TEXT NOT NULL PRIMARY KEY, version_name TEXT NOT NULL UNIQUE,
          version_timestamp BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint,
          created_at BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint, application_name TEXT);
        CREATE TABLE \(schema).queues (
          queue_id TEXT NOT NULL DEFAULT gen_random_uuid()::text PRIMARY KEY, name TEXT NOT NULL UNIQUE,
          concurrency INT4, worker_concurrency INT4, rate_limit_max INT4, rate_limit_period_sec DOUBLE PRECISION,
          priority_enabled BOOLEAN NOT NULL DEFAULT FALSE, partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
          polling_interval_sec DOUBLE PRECISION NOT NULL DEFAULT 1.0,
          created_at BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint,
          updated_at BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint,
          application_name TEXT, partition_concurrency INT4, partition_worker_concurrency INT4,
          partition_rate_limit_max INT4, partition_rate_limit_period_sec DOUBLE PRECISION);
        CREATE TABLE \(schema).event_dispatch_kv (
          service_name TEXT NOT NULL, workflow_fn_name TEXT NOT NULL, key TEXT NOT NULL, value TEXT,
          update_seq NUMERIC(38,0), update_time NUMERIC(38,15), PRIMARY KEY (service_name, workflow_fn_name, key));
        """
    }

    static let retentionColumn =
        "retention_timestamp BIGINT NOT NULL DEFAULT (EXTRACT(epoch FROM now()) * 1000.0)::bigint"

    /// Arguments, apart from the status rows so that those stay small and can be updated in place.
    static func workflowInputTable(in schema: SchemaName) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(schema).workflow_input (
          workflow_uuid TEXT NOT NULL PRIMARY KEY, inputs TEXT, \(retentionColumn))
        """
    }

    /// Outcomes, likewise.
    static func workflowOutputTable(in schema: SchemaName) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(schema).workflow_output (
          workflow_uuid TEXT NOT NULL PRIMARY KEY, output TEXT, error TEXT, \(retentionColumn))
        """
    }
}
