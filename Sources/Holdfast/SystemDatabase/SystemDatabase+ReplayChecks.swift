// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// A recorded history to be compared with the code.
struct ReplayRequest: Sendable {
    var id: Int
    var workflowID: String
    /// `nil`: the workflow was deleted.
    var name: String?
    var inputs: String?
}

struct ReplayAnswer: Sendable {
    var verdict: String
    var step: Int?
    var detail: String?
}

extension SystemDatabase {
    /// Asks the executors of `target` to compare the open workflows of `version` with their code. Those they cannot read
    /// are answered right here.
    ///
    /// - Returns: How many workflows are open.
    func requestReplayChecks(
        _ requestID: String,
        of version: String,
        against target: String,
        applicationName: String
    ) async throws(PostgresError) -> Int {
        try await self.pool.execute(
            PostgresQuery(
                """
                INSERT INTO \(self.names.holdfast).replay_checks
                  (request_id, workflow_uuid, application_name, application_version, verdict, detail)
                SELECT $1, s.workflow_uuid, $4, $3, CASE WHEN NOT p.is_portable THEN 'failed' END,
                       CASE WHEN NOT p.is_portable THEN 'it is written as ' || coalesce(s.serialization, 'an unknown format')
                         || ', which only programs of the language that wrote it can read' END
                  FROM \(self.openWork("workflow_uuid, application_name, application_version, serialization")) s
                 CROSS JOIN LATERAL (SELECT coalesce(s.serialization = 'portable_json', FALSE) AS is_portable) p
                 WHERE s.application_version = $2 AND (s.application_name = $4 OR s.application_name IS NULL)
                """,
                [.text(requestID), .text(version), .text(target), .text(applicationName)]
            )
        ).affectedRows
    }

    /// Takes some of the open requests: `SKIP LOCKED` and the name in `checked_by` let executors share them. What somebody
    /// took who claims nothing any more is taken over. Requests of a client that is gone, which renews them no more, are left.
    func pickReplayChecks(by identity: ExecutorIdentity, limit: Int) async throws(PostgresError) -> [ReplayRequest] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH picked AS (
                  UPDATE \(self.names.holdfast).replay_checks SET checked_by = $3
                   WHERE id = ANY(ARRAY(
                     SELECT r.id FROM \(self.names.holdfast).replay_checks r
                      WHERE r.application_name = $1 AND r.application_version = $2 AND r.verdict IS NULL
                        AND r.requested_at > clock_timestamp() - \(Self.replayRequestLife)
                        AND (r.checked_by IS NULL OR r.checked_by = $3 OR NOT EXISTS (
                          SELECT 1 FROM \(self.names.holdfast).executors e
                           WHERE e.application_name = $1 AND e.executor_id = r.checked_by
                             AND \(Self.isAlive("e")) AND NOT \(Self.isDraining("e"))))
                      ORDER BY r.id LIMIT $4 FOR UPDATE OF r SKIP LOCKED))
                  RETURNING id, workflow_uuid
                )
                SELECT p.id, p.workflow_uuid, s.name, coalesce(i.inputs, s.inputs)
                  FROM picked p
                  LEFT JOIN \(self.names.dbos).workflow_status s ON s.workflow_uuid = p.workflow_uuid
                  LEFT JOIN \(self.names.dbos).workflow_input i ON i.workflow_uuid = p.workflow_uuid
                 ORDER BY p.id
                """,
                [
                    .text(identity.applicationName), .text(identity.applicationVersion),
                    .text(identity.executorID.rawValue), .int8(Int64(limit)),
                ]
            )
        )
        var requests: [ReplayRequest] = []
        for row in result {
            requests.append(
                ReplayRequest(
                    id: try row.int(0),
                    workflowID: try row.string(1),
                    name: try row.optionalString(2),
                    inputs: try row.optionalString(3)
                )
            )
        }
        return requests
    }

    /// For how long a request is answered after its client has asked or renewed it.
    private static let replayRequestLife = "interval '3 minutes'"

    /// Says that the client still waits.
    func renewReplayChecks(_ requestID: String) async throws(PostgresError) {
        _ = try await self.pool.execute(
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).replay_checks SET requested_at = clock_timestamp()
                 WHERE request_id = $1 AND verdict IS NULL
                """,
                [.text(requestID)]
            )
        )
    }

    func answerReplayCheck(_ id: Int, _ answer: ReplayAnswer, executorID: String) async throws(PostgresError) {
        _ = try await self.pool.execute(
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).replay_checks
                   SET verdict = $2, step = $3, detail = $4, checked_by = $5 WHERE id = $1 AND verdict IS NULL
                """,
                [
                    .int8(Int64(id)), .text(answer.verdict), .int4(answer.step.map { Int32(clamping: $0) }),
                    .text(answer.detail), .text(executorID),
                ]
            )
        )
    }

    /// How many answers are missing.
    func missingReplayAnswers(_ requestID: String) async throws(PostgresError) -> Int {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT count(*) FROM \(self.names.holdfast).replay_checks WHERE request_id = $1 AND verdict IS NULL
                """,
                [.text(requestID)]
            )
        )
        guard let row = result.first else { return 0 }
        return try row.int(0)
    }

    func replayAnswers(_ requestID: String) async throws(PostgresError) -> [ReplayVerdict] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT workflow_uuid, verdict, step, detail FROM \(self.names.holdfast).replay_checks
                 WHERE request_id = $1 AND verdict IS NOT NULL ORDER BY id
                """,
                [.text(requestID)]
            )
        )
        var answers: [ReplayVerdict] = []
        answers.reserveCapacity(result.count)
        for row in result {
            let verdict = try row.string(1)
            answers.append(
                ReplayVerdict(
                    workflowID: WorkflowID(try row.string(0)),
                    isCompared: verdict != "failed",
                    isCompatible: verdict == "compatible",
                    step: try row.optionalInt(2).map { StepID(Int32(clamping: $0)) },
                    detail: try row.optionalString(3)
                )
            )
        }
        return answers
    }

    func deleteReplayChecks(_ requestID: String) async throws(PostgresError) {
        _ = try await self.pool.execute(
            PostgresQuery(
                "DELETE FROM \(self.names.holdfast).replay_checks WHERE request_id = $1",
                [.text(requestID)]
            )
        )
    }
}
