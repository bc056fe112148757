// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// A workflow this executor has just become the owner of.
package struct ClaimedWorkflow: Sendable {
    package var workflowID: String
    package var name: String
    /// `nil`: started directly.
    package var queue: String?
    package var inputs: String?
    package var recoveryAttempts: Int
    package var deadline: Int64?
    /// Whether steps are recorded already, by an earlier execution or a fork.
    package var hasCheckpoints: Bool
}

/// Who claims.
package struct ClaimScope: Sendable {
    package var executorID: String
    package var applicationName: String
    package var applicationVersion: String
    /// The workflows this executor can run; others stay in the queue for an executor that can.
    package var workflowNames: [String]
}

extension SystemDatabase {
    /// One claim for all plain queues: a lateral per queue, each with its own limit.
    ///
    /// It returns the inputs, and whether there are checkpoints, so that a dispatch reads nothing more. The ids go
    /// through an array, because the planner expects few rows from an array and probes the primary key, however large
    /// the table is. Rows in other formats than portable JSON are left to programs that can read them.
    ///
    /// Only a live member owns anything: a process that wakes from a long sleep may claim before it learns that it was
    /// declared dead, and nobody would look for work of an incarnation whose work was reclaimed already. The lock on its own
    /// row makes a claim and a declaration of death exclude each other; it does not conflict with renewals, and it is only
    /// taken when something was picked, so that a claim that finds nothing writes nothing.
    static func claimSQL(_ names: SchemaNames) -> String {
        """
        WITH budgets AS MATERIALIZED (
          SELECT * FROM unnest($1::text[], $2::int4[]) AS b(queue_name, budget)
        ), latest AS MATERIALIZED (
          SELECT coalesce((SELECT v.version_name = $4 FROM \(names.dbos).application_versions v
                            WHERE v.application_name = $3 OR v.application_name IS NULL
                            ORDER BY v.version_timestamp DESC LIMIT 1), TRUE) AS is_mine
        ), picked AS MATERIALIZED (
          SELECT c.workflow_uuid
            FROM budgets CROSS JOIN LATERAL (
              SELECT w.workflow_uuid FROM \(names.dbos).workflow_status w
               WHERE w.queue_name = budgets.queue_name AND w.status = 'ENQUEUED'
                 AND (w.application_version = $4
                      OR (w.application_version IS NULL AND (SELECT is_mine FROM latest)))
                 AND (w.application_name = $3 OR w.application_name IS NULL)
                 AND w.name = ANY($5::text[]) AND w.serialization = 'portable_json'
               ORDER BY w.priority, w.created_at
               LIMIT budgets.budget FOR NO KEY UPDATE SKIP LOCKED) c
        ), admitted AS MATERIALIZED (
          SELECT p.workflow_uuid FROM picked p CROSS JOIN LATERAL (
            SELECT 1 FROM \(names.holdfast).executors e
             WHERE e.incarnation = left($6, \(Incarnation.length)) AND e.state IN ('active', 'draining')
               AND p.workflow_uuid IS NOT NULL FOR KEY SHARE) a
        ), claimed AS (
          UPDATE \(names.dbos).workflow_status w
             SET status = 'PENDING', owner_xid = $6, executor_id = $7, application_version = $4,
                 application_name = coalesce(w.application_name, $3), started_at_epoch_ms = \(Self.nowMilliseconds),
                 rate_limited = FALSE, recovery_attempts = coalesce(w.recovery_attempts, 0) + 1,
                 updated_at = \(Self.nowMilliseconds),
                 workflow_deadline_epoch_ms = CASE
                   WHEN w.workflow_timeout_ms IS NULL OR w.workflow_deadline_epoch_ms IS NOT NULL
                     THEN w.workflow_deadline_epoch_ms
                   WHEN w.workflow_timeout_ms > 9223372036854775807 - coalesce($8::int8, \(Self.nowMilliseconds))
                     THEN 9223372036854775807
                   ELSE coalesce($8::int8, \(Self.nowMilliseconds)) + w.workflow_timeout_ms END
           WHERE w.workflow_uuid = ANY(ARRAY(SELECT workflow_uuid FROM admitted)) AND w.status = 'ENQUEUED'
          RETURNING w.workflow_uuid, w.name, w.queue_name, w.inputs, w.recovery_attempts,
                    w.workflow_deadline_epoch_ms, w.priority, w.created_at
        )
        SELECT c.workflow_uuid, c.name, c.queue_name, coalesce(i.inputs, c.inputs), c.recovery_attempts,
               c.workflow_deadline_epoch_ms,
               EXISTS (SELECT 1 FROM \(names.dbos).operation_outputs o WHERE o.workflow_uuid = c.workflow_uuid)
          FROM claimed c LEFT JOIN \(names.dbos).workflow_input i ON i.workflow_uuid = c.workflow_uuid
         ORDER BY c.priority, c.created_at
        """
    }

    /// Claims up to the budgets' limits; all claimed rows carry `token`.
    func claim(
        _ budgets: [ClaimPlanner.Budget],
        scope: ClaimScope,
        token: String,
        now: Int64?
    ) async throws(PostgresError) -> [ClaimedWorkflow] {
        let result = try await self.pool.execute(
            PostgresQuery(
                self.statements.claim,
                [
                    .textArray(budgets.map(\.queue)), .int4Array(budgets.map { Int32(clamping: $0.limit) }),
                    .text(scope.applicationName), .text(scope.applicationVersion), .textArray(scope.workflowNames),
                    .text(token), .text(scope.executorID), .int8(now),
                ]
            )
        )
        var claimed: [ClaimedWorkflow] = []
        claimed.reserveCapacity(result.count)
        for row in result {
            claimed.append(
                ClaimedWorkflow(
                    workflowID: try row.string(0),
                    name: try row.string(1),
                    queue: try row.optionalString(2),
                    inputs: try row.optionalString(3),
                    recoveryAttempts: try row.int(4),
                    deadline: try row.optionalInt(5).map(Int64.init),
                    hasCheckpoints: try row.bool(6)
                )
            )
        }
        return claimed
    }

    static func notOwnedSQL(_ names: SchemaNames) -> String {
        """
        SELECT f.id, f.token, s.status
          FROM unnest($1::text[], $2::text[]) AS f(id, token)
          LEFT JOIN \(names.dbos).workflow_status s ON s.workflow_uuid = f.id
         WHERE s.owner_xid IS DISTINCT FROM f.token
        """
    }

    /// Those of the given executions that no longer own their workflow, with the workflow's status (`nil`: deleted).
    func notOwned(_ owners: [Owner]) async throws(PostgresError) -> [(owner: Owner, status: WorkflowStatus?)] {
        let result = try await self.pool.execute(
            PostgresQuery(
                self.statements.notOwned,
                [.textArray(owners.map(\.workflowID)), .textArray(owners.map(\.token))]
            )
        )
        var lost: [(owner: Owner, status: WorkflowStatus?)] = []
        for row in result {
            let owner = Owner(workflowID: try row.string(0), token: try row.string(1))
            lost.append((owner, try row.optionalString(2).map(WorkflowStatus.init(rawValue:))))
        }
        return lost
    }
}
