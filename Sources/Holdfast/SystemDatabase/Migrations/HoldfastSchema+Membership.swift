// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension HoldfastSchema {
    /// Version 1: who runs, and who took over from whom.
    static func membership(in schema: SchemaName) -> String {
        """
        -- One row per life of an executor. It stays after the end, because work of the dead is found through it.
        CREATE TABLE \(schema).executors (
          incarnation TEXT PRIMARY KEY,
          executor_id TEXT NOT NULL,
          application_name TEXT NOT NULL,
          application_version TEXT NOT NULL,
          state TEXT NOT NULL CHECK (state IN ('active', 'draining', 'stopped', 'dead')),
          host TEXT NOT NULL,
          pid INT4 NOT NULL,
          capacity INT4 NOT NULL,
          running INT4 NOT NULL DEFAULT 0,
          -- What it can run and where it looks, to say why a workflow waits. NULL queues: all of the application's.
          workflows TEXT[] NOT NULL DEFAULT '{}',
          queues TEXT[],
          -- An operator wants it to finish its steps, hand its work over and claim nothing more.
          drain_requested BOOLEAN NOT NULL DEFAULT FALSE,
          lease_ms INT8 NOT NULL,
          started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
          renewed_at TIMESTAMPTZ NOT NULL,
          lease_expires_at TIMESTAMPTZ NOT NULL,
          lock_key INT8 NOT NULL,
          -- pg_postmaster_start_time() when the lease session took its lock; NULL without a lease session. A session that
          -- is gone proves a death only while this server still runs.
          session_server_epoch TIMESTAMPTZ,
          ended_at TIMESTAMPTZ,
          ended_by TEXT,
          -- superseded: a new process took the slot; replaced: it did while this one lived.
          end_reason TEXT CHECK (
            end_reason IN ('shutdown', 'lease_expired', 'session_lost', 'superseded', 'replaced')),
          -- When the last of its work had been handed back.
          reclaimed_at TIMESTAMPTZ
        ) WITH (
          -- Every executor renews its row each second. Half-empty pages and no index on what a renewal changes keep these
          -- updates within their page (HOT); the absolute threshold makes autovacuum follow rows, not table size.
          fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000
        );

        -- The predicates of these indexes name state and reclaimed_at, which renewals leave alone, so HOT holds.
        -- The ring: each executor watches the next few living ones of its application in this order.
        CREATE INDEX executors_alive ON \(schema).executors (application_name, incarnation)
          WHERE state IN ('active', 'draining');
        -- A new life of a slot looks for the former one, which it supersedes.
        CREATE INDEX executors_slot ON \(schema).executors (application_name, executor_id)
          WHERE state IN ('active', 'draining');
        -- The few ended lives whose work must still be handed back, among all that ever ended.
        CREATE INDEX executors_unreclaimed ON \(schema).executors (application_name, application_version)
          WHERE state IN ('dead', 'stopped') AND reclaimed_at IS NULL;

        -- One row per workflow that changed hands without its executor's consent.
        CREATE TABLE \(schema).takeovers (
          id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          workflow_uuid TEXT NOT NULL,
          from_executor_id TEXT NOT NULL,
          from_incarnation TEXT NOT NULL,
          by_executor_id TEXT NOT NULL,
          by_incarnation TEXT NOT NULL,
          application_version TEXT,
          reason TEXT NOT NULL,
          -- How many executors have died under it since its last checkpoint, this one included, and what followed.
          -- 0 for a workflow that has long waited, and for one whose executor lives on.
          strikes INT4 NOT NULL DEFAULT 1,
          -- Of no use any more: what is forgiven shows in the workflow's attempts.
          cleared BOOLEAN NOT NULL DEFAULT FALSE,
          decision TEXT NOT NULL DEFAULT 'requeued' CHECK (decision IN ('requeued', 'delayed', 'quarantined')),
          at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
        );
        -- The history of one workflow.
        CREATE INDEX takeovers_workflow ON \(schema).takeovers (workflow_uuid, id);
        -- What happened lately, and what is old enough to be deleted.
        CREATE INDEX takeovers_at ON \(schema).takeovers (at);

        -- Requests to replay a recorded history against the code of a version, answered by an executor of that version.
        CREATE TABLE \(schema).replay_checks (
          id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          request_id TEXT NOT NULL,
          workflow_uuid TEXT NOT NULL,
          application_name TEXT NOT NULL,
          application_version TEXT NOT NULL,
          requested_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
          verdict TEXT CHECK (verdict IN ('compatible', 'diverges', 'failed')),
          step INT4,
          detail TEXT,
          checked_by TEXT
        );
        CREATE INDEX replay_checks_open ON \(schema).replay_checks (application_name, application_version, id)
          WHERE verdict IS NULL;
        CREATE INDEX replay_checks_request ON \(schema).replay_checks (request_id);
        """
    }
}
