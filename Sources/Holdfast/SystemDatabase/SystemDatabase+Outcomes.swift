// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// The end of one execution: exactly one of output and error is set.
package struct OutcomeRow: Sendable {
    package var workflowID: String
    package var token: String
    package var status: WorkflowStatus
    package var output: String?
    package var error: String?
}

/// A workflow that will not change any more by itself, with what it left.
package struct SettledWorkflow: Sendable {
    package var workflowID: String
    package var status: WorkflowStatus
    package var output: String?
    package var error: String?
    package var serialization: String?
}

extension SystemDatabase {
    /// Writes a batch of outcomes, each conditional on `PENDING` and its token.
    ///
    /// The status is hidden from the planner: statistics seldom know of running workflows, so it would take the index of
    /// the pending ones, and read all that run in the fleet for each batch.
    static func outcomeSQL(_ names: SchemaNames) -> String {
        """
        WITH rows AS (
          SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
            AS r(workflow_uuid, token, status, output, error, ordinal)
        ), won AS (
          UPDATE \(names.dbos).workflow_status w
             SET status = r.status, deduplication_id = NULL, owner_xid = NULL,
                 updated_at = \(Self.nowMilliseconds), completed_at = \(Self.nowMilliseconds)
            FROM rows r
           WHERE w.workflow_uuid = r.workflow_uuid AND w.owner_xid = r.token AND coalesce(w.status, '') = 'PENDING'
             AND \(Self.limitingLocks(to: "$6"))
          RETURNING r.ordinal, r.workflow_uuid, r.output, r.error
        ), saved AS (
          INSERT INTO \(names.dbos).workflow_output (workflow_uuid, output, error)
          SELECT workflow_uuid, output, error FROM won
          ON CONFLICT (workflow_uuid) DO UPDATE SET output = EXCLUDED.output, error = EXCLUDED.error
        )
        SELECT ordinal FROM won
        """
    }

    func outcomeQuery(_ rows: [OutcomeRow], patience: Duration) -> PostgresQuery {
        PostgresQuery(
            self.statements.outcome,
            [
                .textArray(rows.map(\.workflowID)), .textArray(rows.map(\.token)),
                .textArray(rows.map(\.status.rawValue)), .textArray(rows.map(\.output)), .textArray(rows.map(\.error)),
                Self.lockLimit(patience),
            ]
        )
    }

    /// One entry per row of the batch: whether its outcome was written.
    func readOutcomes(_ result: PostgresResult, count: Int) throws(PostgresError) -> [Bool] {
        var written = [Bool](repeating: false, count: count)
        for row in result { written[try row.int(0) - 1] = true }
        return written
    }

    static func settledOutcomesSQL(_ names: SchemaNames) -> String {
        """
        SELECT f.id, s.status, coalesce(o.output, s.output), coalesce(o.error, s.error), s.serialization
          FROM unnest($1::text[]) AS f(id)
          LEFT JOIN \(names.dbos).workflow_status s ON s.workflow_uuid = f.id
          LEFT JOIN \(names.dbos).workflow_output o ON o.workflow_uuid = s.workflow_uuid
         WHERE s.workflow_uuid IS NULL
            OR s.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
        """
    }

    /// Those of the given workflows that are settled, and those that do not exist (any more); the legacy columns are read
    /// where older programs wrote them.
    func settled(
        _ workflowIDs: [String]
    ) async throws(PostgresError) -> (settled: [SettledWorkflow], missing: [String]) {
        let result = try await self.pool.execute(
            PostgresQuery(self.statements.settledOutcomes, [.textArray(workflowIDs)])
        )
        var settled: [SettledWorkflow] = []
        var missing: [String] = []
        for row in result {
            guard let status = try row.optionalString(1) else {
                missing.append(try row.string(0))
                continue
            }
            settled.append(
                SettledWorkflow(
                    workflowID: try row.string(0),
                    status: WorkflowStatus(rawValue: status),
                    output: try row.optionalString(2),
                    error: try row.optionalString(3),
                    serialization: try row.optionalString(4)
                )
            )
        }
        return (settled, missing)
    }

    /// Moves a workflow that was dispatched too often to the dead letters, unless somebody has moved it on. It hardly waits when
    /// somebody holds its row: the caller tries again.
    func deadLetter(_ workflowID: String, token: String) async throws(PostgresError) -> Bool {
        let result = try await self.patiently(
            PostgresQuery(
                """
                UPDATE \(self.names.dbos).workflow_status
                   SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', owner_xid = NULL, deduplication_id = NULL,
                       started_at_epoch_ms = NULL, queue_name = NULL,
                       updated_at = \(Self.nowMilliseconds), completed_at = \(Self.nowMilliseconds)
                 WHERE workflow_uuid = $1 AND status = 'PENDING' AND owner_xid = $2
                """,
                [.text(workflowID), .text(token)]
            ),
            for: .zero
        )
        return result.affectedRows == 1
    }
}
