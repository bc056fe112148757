// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// How the transactions of a session are kept apart unless they say otherwise.
struct SessionIsolation: Sendable {
    var level: String
    /// The statement that makes them read committed, whatever else is set for the role or the database.
    var cure: String
}

extension SystemDatabase {
    /// What a transaction of the pool's sessions gets.
    func isolation() async throws(PostgresError) -> SessionIsolation {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                SELECT current_setting('transaction_isolation'),
                       format('ALTER ROLE %I IN DATABASE %I SET default_transaction_isolation = %L', session_user,
                              current_database(), 'read committed')
                """
            )
        )
        guard let row = result.first else { throw PostgresError(.decoding, "a setting answered nothing") }
        return SessionIsolation(level: try row.string(0), cure: try row.string(1))
    }
}
