// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// A workflow to be stored by insert-or-get, perhaps as the child of a running one.
package struct StartRow: Sendable {
    /// The step of the parent that starts this workflow; written in the same statement, fenced by the parent's token.
    package struct Parent: Sendable {
        package var workflowID: String
        package var token: String
        package var functionID: Int32
        package var startedAt: Int64
        package var completedAt: Int64
    }

    package var workflowID: String
    package var status: WorkflowStatus
    package var name: String
    package var inputs: String
    /// Drawn once per call, outside any retry: it tells our own repeated insert from somebody else's.
    package var creatorToken: String
    package var ownerToken: String?
    package var queue: String?
    package var executorID: String?
    package var applicationName: String?
    package var applicationVersion: String?
    package var recoveryAttempts: Int64 = 0
    package var timeoutMilliseconds: Int64?
    package var deadline: Int64?
    package var deduplicationID: String?
    package var priority: Int32 = 0
    package var partitionKey: String?
    /// From the moment at which the row is stored.
    package var delayMilliseconds: Int64?
    /// Instead of that, where time is in a test's hands.
    package var delayUntil: Int64?
    package var attributes: String?
    package var className: String?
    package var configName: String?
    package var parent: Parent?
}

/// What the table holds after an insert-or-get.
package struct StoredWorkflow: Sendable {
    package var status: WorkflowStatus
    package var name: String?
    package var className: String?
    package var configName: String?
    package var queue: String?
    /// Whether the row is the one this call inserted; then, and only then, the caller may run it.
    package var isOurs: Bool
    /// Whether the parent's step was written (or needed none).
    package var isCheckpointed: Bool
}

extension SystemDatabase {
    /// Insert-or-get of a batch of workflows with their inputs and, for children, the parents' steps.
    ///
    /// Parents are locked first, in id order. A row that exists is returned unchanged; its inputs are never written
    /// again, because only the insert that won stores them.
    static func startSQL(_ names: SchemaNames) -> String {
        """
        WITH rows AS (
          SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::text[], $9::text[], $10::int8[], $11::int8[], $12::int8[], $13::text[], $14::int4[], $15::text[],
              $16::int8[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::int4[], $23::int8[],
              $24::int8[], $25::text[], $28::int8[]) WITH ORDINALITY
            AS r(workflow_uuid, status, name, inputs, creator_xid, owner_xid, queue_name, executor_id,
              application_version, recovery_attempts, timeout_ms, deadline_ms, deduplication_id, priority,
              partition_key, delay_ms, attributes, class_name, config_name, parent_workflow_id, parent_token,
              parent_function_id, parent_started, parent_completed, application_name, delay_until, ordinal)
           WHERE \(Self.limitingLocks(to: "$29"))
        ), parents AS MATERIALIZED (
          SELECT s.workflow_uuid, s.owner_xid
            FROM unnest($26::text[], $27::text[]) AS f(id, token)
            JOIN \(names.dbos).workflow_status s ON s.workflow_uuid = f.id AND s.owner_xid = f.token
           WHERE \(Self.limitingLocks(to: "$29"))
           ORDER BY s.workflow_uuid FOR NO KEY UPDATE OF s
        ), admitted AS MATERIALIZED (
          SELECT r.* FROM rows r
           WHERE r.parent_token IS NULL OR EXISTS (
             SELECT 1 FROM parents p WHERE p.workflow_uuid = r.parent_workflow_id AND p.owner_xid = r.parent_token)
        ), stored AS (
          INSERT INTO \(names.dbos).workflow_status AS w
            (workflow_uuid, status, name, class_name, config_name, executor_id, application_version, queue_name,
             recovery_attempts, workflow_timeout_ms, workflow_deadline_epoch_ms, deduplication_id, priority,
             serialization, queue_partition_key, parent_workflow_id, creator_xid, owner_xid, delay_until_epoch_ms,
             attributes, is_debounced, application_name)
          SELECT workflow_uuid, status, name, class_name, config_name, executor_id, application_version, queue_name,
             recovery_attempts, timeout_ms, deadline_ms, deduplication_id, priority,
             'portable_json', partition_key, parent_workflow_id, creator_xid, owner_xid,
             coalesce(delay_until, \(Self.nowMilliseconds)
               + CASE WHEN delay_ms > 9223372036854775807 - \(Self.nowMilliseconds)
                   THEN 9223372036854775807 - \(Self.nowMilliseconds) ELSE delay_ms END),
             attributes::jsonb, FALSE, application_name
            FROM admitted ORDER BY workflow_uuid
          ON CONFLICT (workflow_uuid) DO UPDATE SET creator_xid = w.creator_xid
          RETURNING w.workflow_uuid, w.status, w.name, w.class_name, w.config_name, w.queue_name, w.creator_xid
        ), input AS (
          INSERT INTO \(names.dbos).workflow_input (workflow_uuid, inputs)
          SELECT a.workflow_uuid, a.inputs FROM admitted a
            JOIN stored s ON s.workflow_uuid = a.workflow_uuid AND s.creator_xid = a.creator_xid
          ON CONFLICT (workflow_uuid) DO NOTHING
        ), checkpoints AS (
          INSERT INTO \(names.dbos).operation_outputs
            (workflow_uuid, function_id, function_name, child_workflow_id, started_at_epoch_ms, completed_at_epoch_ms,
             application_name, retention_timestamp)
          SELECT a.parent_workflow_id, a.parent_function_id, a.name, a.workflow_uuid, a.parent_started,
                 a.parent_completed, a.application_name, \(Self.nowMilliseconds)
            FROM admitted a JOIN stored s ON s.workflow_uuid = a.workflow_uuid
           WHERE a.parent_token IS NOT NULL AND s.name = a.name
             AND s.class_name IS NOT DISTINCT FROM a.class_name AND s.config_name IS NOT DISTINCT FROM a.config_name
          ON CONFLICT (workflow_uuid, function_id) DO NOTHING
          RETURNING workflow_uuid, function_id
        )
        SELECT r.ordinal, s.status, s.name, s.class_name, s.config_name, s.queue_name,
               s.creator_xid IS NOT DISTINCT FROM r.creator_xid,
               r.parent_token IS NULL OR c.function_id IS NOT NULL
          FROM rows r JOIN stored s ON s.workflow_uuid = r.workflow_uuid
          LEFT JOIN checkpoints c ON c.workflow_uuid = r.parent_workflow_id AND c.function_id = r.parent_function_id
        """
    }

    func startQuery(_ rows: [StartRow], patience: Duration) -> PostgresQuery {
        let parents = Set(
            rows.compactMap { row in row.parent.map { Owner(workflowID: $0.workflowID, token: $0.token) } }
        )
        .sorted()
        return PostgresQuery(
            self.statements.start,
            [
                .textArray(rows.map(\.workflowID)), .textArray(rows.map(\.status.rawValue)),
                .textArray(rows.map(\.name)),
                .textArray(rows.map(\.inputs)), .textArray(rows.map(\.creatorToken)),
                .textArray(rows.map(\.ownerToken)),
                .textArray(rows.map(\.queue)), .textArray(rows.map(\.executorID)),
                .textArray(rows.map(\.applicationVersion)), .int8Array(rows.map(\.recoveryAttempts)),
                .int8Array(rows.map(\.timeoutMilliseconds)), .int8Array(rows.map(\.deadline)),
                .textArray(rows.map(\.deduplicationID)), .int4Array(rows.map(\.priority)),
                .textArray(rows.map(\.partitionKey)), .int8Array(rows.map(\.delayMilliseconds)),
                .textArray(rows.map(\.attributes)), .textArray(rows.map(\.className)),
                .textArray(rows.map(\.configName)),
                .textArray(rows.map { $0.parent?.workflowID }),
                .textArray(rows.map { $0.parent?.token }), .int4Array(rows.map { $0.parent?.functionID }),
                .int8Array(rows.map { $0.parent?.startedAt }), .int8Array(rows.map { $0.parent?.completedAt }),
                .textArray(rows.map(\.applicationName)),
                .textArray(parents.map(\.workflowID)), .textArray(parents.map(\.token)),
                .int8Array(rows.map(\.delayUntil)), Self.lockLimit(patience),
            ]
        )
    }

    /// One entry per row of the batch; `nil` where the parent no longer owns its workflow, so nothing was stored.
    func readStarted(_ result: PostgresResult, count: Int) throws(PostgresError) -> [StoredWorkflow?] {
        var stored = [StoredWorkflow?](repeating: nil, count: count)
        for row in result {
            stored[try row.int(0) - 1] = StoredWorkflow(
                status: WorkflowStatus(rawValue: try row.string(1)),
                name: try row.optionalString(2),
                className: try row.optionalString(3),
                configName: try row.optionalString(4),
                queue: try row.optionalString(5),
                isOurs: try row.bool(6),
                isCheckpointed: try row.bool(7)
            )
        }
        return stored
    }
}

/// A workflow and the token of the execution that claims to own it.
struct Owner: Sendable, Hashable, Comparable {
    var workflowID: String
    var token: String

    static func < (lhs: Owner, rhs: Owner) -> Bool {
        (lhs.workflowID, lhs.token) < (rhs.workflowID, rhs.token)
    }
}
