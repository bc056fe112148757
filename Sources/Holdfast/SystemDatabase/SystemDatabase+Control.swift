// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension SystemDatabase {
    /// Cancels workflows that are not finished. Ids that do not exist are left out silently.
    ///
    /// - Returns: The ids that were cancelled.
    func cancel(_ workflowIDs: [String]) async throws(PostgresError) -> [String] {
        let result = try await self.patiently(
            PostgresQuery(
                """
                UPDATE \(self.names.dbos).workflow_status
                   SET status = 'CANCELLED', owner_xid = NULL, queue_name = NULL, deduplication_id = NULL,
                       started_at_epoch_ms = NULL, updated_at = \(Self.nowMilliseconds),
                       completed_at = \(Self.nowMilliseconds)
                 WHERE workflow_uuid = ANY($1::text[]) AND status NOT IN ('SUCCESS', 'ERROR')
                RETURNING workflow_uuid
                """,
                [.textArray(workflowIDs)]
            )
        )
        return try Self.strings(result)
    }

    /// The direct children of workflows.
    func children(of workflowIDs: [String]) async throws(PostgresError) -> [String] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                 WHERE parent_workflow_id IS NOT NULL AND parent_workflow_id = ANY($1::text[])
                """,
                [.textArray(workflowIDs)]
            )
        )
        return try Self.strings(result)
    }

    /// Puts cancelled, dead-lettered or waiting workflows onto a queue again; finished ones stay as they are.
    ///
    /// All ids must exist, or nothing changes: the update reads the missing ones in its own snapshot.
    ///
    /// - Returns: The resumed workflows with their queues, and the ids that do not exist.
    func resume(
        _ workflowIDs: [String],
        queue: String?
    ) async throws(PostgresError) -> (resumed: [String: String], missing: [String]) {
        let result = try await self.patiently(
            PostgresQuery(
                """
                WITH missing AS MATERIALIZED (
                  SELECT id FROM unnest($1::text[]) AS id
                   WHERE NOT EXISTS (SELECT 1 FROM \(self.names.dbos).workflow_status WHERE workflow_uuid = id)
                ), resumed AS (
                  UPDATE \(self.names.dbos).workflow_status
                     SET status = 'ENQUEUED', owner_xid = NULL, workflow_deadline_epoch_ms = NULL,
                         deduplication_id = NULL, started_at_epoch_ms = NULL, completed_at = NULL,
                         recovery_attempts = 0, queue_name = coalesce($2, '\(Self.internalQueue)'),
                         updated_at = \(Self.nowMilliseconds)
                   WHERE workflow_uuid = ANY($1::text[]) AND status NOT IN ('SUCCESS', 'ERROR')
                     AND NOT EXISTS (SELECT 1 FROM missing)
                  RETURNING workflow_uuid, queue_name
                )
                SELECT workflow_uuid, queue_name FROM resumed UNION ALL SELECT id, NULL FROM missing
                """,
                [.textArray(workflowIDs), .text(queue)]
            )
        )
        var resumed: [String: String] = [:]
        var missing: [String] = []
        for row in result {
            let id = try row.string(0)
            if let queue = try row.optionalString(1) { resumed[id] = queue } else { missing.append(id) }
        }
        return (resumed, missing)
    }

    /// The workflow that holds a deduplication id on a queue.
    func deduplicationHolder(queue: String, deduplicationID: String) async throws(PostgresError) -> String? {
        try await self.pool.execute(
            PostgresQuery(
                """
                SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                 WHERE queue_name = $1 AND deduplication_id = $2
                """,
                [.text(queue), .text(deduplicationID)]
            )
        ).first?.string(0)
    }

    static func strings(_ result: PostgresResult) throws(PostgresError) -> [String] {
        var strings: [String] = []
        strings.reserveCapacity(result.count)
        for row in result { strings.append(try row.string(0)) }
        return strings
    }
}
