// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension HoldfastSchema {
    /// Version 4: versions that were retired, and lives that their own process has ended.
    static func retirement(in schema: SchemaName) -> String {
        """
        -- A retired version that starts once more is registered under the time of its former registration: it is still
        -- older than those that came after it.
        CREATE TABLE \(schema).retired_versions (
          application_name TEXT NOT NULL,
          version_name TEXT NOT NULL,
          -- As in the shared table.
          version_timestamp INT8 NOT NULL,
          retired_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
          PRIMARY KEY (application_name, version_name)
        );

        -- rejoined: the process itself has begun another life.
        ALTER TABLE \(schema).executors DROP CONSTRAINT executors_end_reason_check, ADD CONSTRAINT executors_end_reason_check
          CHECK (end_reason IN ('shutdown', 'lease_expired', 'session_lost', 'superseded', 'replaced', 'rejoined'));
        """
    }
}
