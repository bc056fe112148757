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
    static func checkpointSQL(_ names: SchemaNames) -> String {
        """
        WITH rows AS (
          SELECT * FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::text[], $9::int8[], $10::int8[]) WITH ORDINALITY
            AS r(workflow_uuid, token, function_id, function_name, output, error, child_workflow_id, serialization,
              started, completed, ordinal)
        ), owned AS MATERIALIZED (
          SELECT s.workflow_uuid, s.owner_xid
            FROM unnest($11::text[], $12::text[]) AS f(id, token)
            JOIN \(names.dbos).workflow_status s ON s.workflow_uuid = f.id AND s.owner_xid = f.token
           ORDER BY s.workflow_uuid FOR NO KEY UPDATE OF s
        ), fenced AS MATERIALIZED (
          SELECT r.* FROM rows r JOIN owned o ON o.workflow_uuid = r.workflow_uuid AND o.owner_xid = r.token
        ), written AS (
          INSERT INTO \(names.dbos).operation_outputs AS o
            (workflow_uuid, function_id, function_name, started_at_epoch_ms, completed_at_epoch_ms, output, error,
             child_workflow_id, serialization, application_name, retention_timestamp)
          SELECT workflow_uuid, function_id, function_name, started, completed, output, error,
                 child_workflow_id, serialization, $13, \(Self.nowMilliseconds)
            FROM fenced
          ON CONFLICT (workflow_uuid, function_id) DO UPDATE SET completed_at_epoch_ms = o.completed_at_epoch_ms
          RETURNING o.workflow_uuid, o.function_id, o.completed_at_epoch_ms
        )
        SELECT f.ordinal, w.completed_at_epoch_ms IS NOT DISTINCT FROM f.completed
          FROM fenced f JOIN written w ON w.workflow_uuid = f.workflow_uuid AND w.function_id = f.function_id
        """
    }

    func checkpointQuery(_ rows: [CheckpointRow], applicationName: String?) -> PostgresQuery {
        let owners = Set(rows.map { Owner(workflowID: $0.workflowID, token: $0.token) }).sorted()
        return PostgresQuery(
            self.statements.checkpoint,
            [
                .textArray(rows.map(\.workflowID)), .textArray(rows.map(\.token)), .int4Array(rows.map(\.functionID)),
                .textArray(rows.map(\.name)), .textArray(rows.map(\.output)), .textArray(rows.map(\.error)),
                .textArray(rows.map(\.childWorkflowID)), .textArray(rows.map(\.serialization)),
                .int8Array(rows.map(\.startedAt)), .int8Array(rows.map(\.completedAt)),
                .textArray(owners.map(\.workflowID)), .textArray(owners.map(\.token)), .text(applicationName),
            ]
        )
    }

    func readCheckpoints(_ result: PostgresResult, count: Int) throws(PostgresError) -> [CheckpointResult] {
        var results = [CheckpointResult](repeating: .lostOwnership, count: count)
        for row in result {
            results[try row.int(0) - 1] = try row.bool(1) ? .recorded : .conflict
        }
        return results
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
