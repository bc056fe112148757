// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension SystemDatabase {
    /// How long an order waits for what somebody's transaction holds.
    static let patience: Duration = .seconds(5)

    /// How long it keeps a connection for that at a time, and how long the others have it then.
    private static let turn: Duration = .milliseconds(200)

    /// Runs a statement that may meet rows or tables that somebody's open transaction holds; see below.
    func patiently(
        _ query: PostgresQuery,
        for patience: Duration = patience
    ) async throws(PostgresError) -> PostgresResult {
        try await self.patiently([query], for: patience)[0]
    }

    /// Runs statements that may meet rows or tables that somebody's open transaction holds, in one transaction.
    ///
    /// It waits in turns, between which it has neither a connection nor a lock: any number of orders to one locked row must not
    /// keep an executor's connections from its checkpoints.
    ///
    /// - Parameter patience: For how long it tries again.
    /// - Throws: An error with `isLockTimeout` when it has waited in vain; then nothing has changed.
    func patiently(
        _ queries: [PostgresQuery],
        for patience: Duration = patience
    ) async throws(PostgresError) -> [PostgresResult] {
        let end = ContinuousClock.now.advanced(by: patience)
        // A statement of its own, because tables are locked before a statement begins. It holds for this transaction only.
        let limit = PostgresQuery("SELECT \(Self.limitingLocks(to: "$1"))", [Self.lockLimit(Self.turn)])
        while true {
            do throws(PostgresError) {
                return Array(try await self.pool.pipeline([limit] + queries).dropFirst())
            } catch {
                guard error.isLockTimeout, .now < end else {
                    var error = error
                    error.queryIndex = nil
                    throw error
                }
            }
            do { try await Task.sleep(for: Self.turn) } catch {
                throw PostgresError(.cancelled, "cancelled while somebody's transaction held a lock")
            }
        }
    }

    /// Those of the given workflows whose rows somebody's transaction holds; it may be the turn of another order.
    func locked(among workflowIDs: [String]) async throws(PostgresError) -> [String] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH free AS MATERIALIZED (
                  SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                   WHERE workflow_uuid = ANY($1::text[]) FOR NO KEY UPDATE SKIP LOCKED
                )
                SELECT workflow_uuid FROM \(self.names.dbos).workflow_status
                 WHERE workflow_uuid = ANY($1::text[]) AND workflow_uuid NOT IN (SELECT workflow_uuid FROM free)
                 ORDER BY workflow_uuid
                """,
                [.textArray(workflowIDs)]
            )
        )
        return try Self.strings(result)
    }
}
