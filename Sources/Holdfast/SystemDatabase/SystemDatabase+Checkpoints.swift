// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// One step of one execution, ready to be recorded.
package struct CheckpointRow: Sendable {
    package var workflowID: String
    package var token: String
    package var functionID: Int32
    package var name: String
    package var output: String?
    package var error: String?
    package var childWorkflowID: String?
    /// `nil` for operations without a value.
    package var serialization: String?
    package var startedAt: Int64
    /// Chosen once, outside any retry: it tells our own repeated insert from another one.
    package var completedAt: Int64
}

extension CheckpointRow {
    var key: StepKey { StepKey(workflowID: self.workflowID, functionID: self.functionID) }
}

/// One step of one workflow.
struct StepKey: Hashable, Sendable {
    var workflowID: String
    var functionID: Int32
}

package enum CheckpointResult: Sendable, Equatable {
    case recorded
    /// The token is no longer in the row; nothing was written.
    case lostOwnership
    /// Another step is recorded under this number by this very execution.
    case conflict
}

extension SystemDatabase {
    /// Records a batch of steps. Each row is fenced on its own: a row whose token is gone is left out, the others are
    /// written.
    ///
    /// The rows are joined with nothing but the locked workflows, which the primary key finds: whatever the planner thinks of
    /// the size of a batch, the work grows with it and not with its square.
    static func checkpointSQL(_ names: SchemaNames) -> String {
        """
        WITH fenced AS MATERIALIZED (
          SELECT r.* FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::text[], $9::int8[], $10::int8[])
            AS r(workflow_uuid, token, function_id, function_name, output, error, child_workflow_id, serialization,
              started, completed)
            JOIN \(names.dbos).workflow_status s ON s.workflow_uuid = r.workflow_uuid AND s.owner_xid = r.token
           WHERE \(Self.limitingLocks(to: "$12"))
           ORDER BY s.workflow_uuid FOR NO KEY UPDATE OF s
        )
        INSERT INTO \(names.dbos).operation_outputs AS o
          (workflow_uuid, function_id, function_name, started_at_epoch_ms, completed_at_epoch_ms, output, error,
           child_workflow_id, serialization, application_name, retention_timestamp)
        SELECT workflow_uuid, function_id, function_name, started, completed, output, error,
               child_workflow_id, serialization, $11, \(Self.nowMilliseconds)
          FROM fenced
        ON CONFLICT (workflow_uuid, function_id) DO UPDATE SET completed_at_epoch_ms = o.completed_at_epoch_ms
        RETURNING o.workflow_uuid, o.function_id, o.completed_at_epoch_ms
        """
    }

    func checkpointQuery(_ rows: [CheckpointRow], applicationName: String?, patience: Duration) -> PostgresQuery {
        PostgresQuery(
            self.statements.checkpoint,
            [
                .textArray(rows.map(\.workflowID)), .textArray(rows.map(\.token)), .int4Array(rows.map(\.functionID)),
                .textArray(rows.map(\.name)), .textArray(rows.map(\.output)), .textArray(rows.map(\.error)),
                .textArray(rows.map(\.childWorkflowID)), .textArray(rows.map(\.serialization)),
                .int8Array(rows.map(\.startedAt)), .int8Array(rows.map(\.completedAt)), .text(applicationName),
                Self.lockLimit(patience),
            ]
        )
    }

    /// One answer per row of the batch, in its order. The writer never puts two rows of one step into a batch.
    func readCheckpoints(
        _ result: PostgresResult,
        of rows: [CheckpointRow]
    ) throws(PostgresError) -> [CheckpointResult] {
        var completed: [StepKey: Int64?] = [:]
        for row in result {
            let key = StepKey(workflowID: try row.string(0), functionID: Int32(clamping: try row.int(1)))
            completed[key] = .some(try row.optionalInt(2).map(Int64.init))
        }
        return rows.map { row in
            guard let found = completed[row.key] else { return .lostOwnership }
            return found == row.completedAt ? .recorded : .conflict
        }
    }

    static func journalSQL(_ names: SchemaNames) -> String {
        """
        SELECT function_id, function_name, output, error, child_workflow_id, serialization
          FROM \(names.dbos).operation_outputs WHERE workflow_uuid = $1 ORDER BY function_id
        """
    }

    /// Everything recorded of a workflow, in one query.
    func journal(of workflowID: String) async throws(PostgresError) -> [RecordedStep] {
        let result = try await self.pool.execute(PostgresQuery(self.statements.journal, [.text(workflowID)]))
        var steps: [RecordedStep] = []
        steps.reserveCapacity(result.count)
        for row in result {
            steps.append(
                RecordedStep(
                    functionID: Int32(clamping: try row.int(0)),
                    name: try row.string(1),
                    output: try row.optionalString(2),
                    error: try row.optionalString(3),
                    childWorkflowID: try row.optionalString(4),
                    serialization: try row.optionalString(5)
                )
            )
        }
        return steps
    }
}
