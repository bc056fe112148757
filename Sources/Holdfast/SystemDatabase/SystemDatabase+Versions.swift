// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension SystemDatabase {
    /// Registers a version of an application; registering again changes nothing, so restarting an old version does not
    /// make it the latest.
    ///
    /// - Returns: The application that owns the version's name (`nil`: nobody), and the latest version's name.
    func registerVersion(
        _ version: String,
        applicationName: String
    ) async throws(PostgresError) -> (owner: String?, latest: String?) {
        let results = try await self.pool.pipeline([
            PostgresQuery(
                """
                UPDATE \(self.names.dbos).application_versions SET application_name = $1
                 WHERE version_name = $2 AND application_name IS NULL
                """,
                [.text(applicationName), .text(version)]
            ),
            // No conflict target: the uniqueness of version names alone is about to be given up by the shared schema.
            PostgresQuery(
                """
                INSERT INTO \(self.names.dbos).application_versions (version_id, version_name, application_name)
                VALUES (gen_random_uuid()::text, $2, $1) ON CONFLICT DO NOTHING
                """,
                [.text(applicationName), .text(version)]
            ),
            PostgresQuery(
                """
                SELECT application_name FROM \(self.names.dbos).application_versions WHERE version_name = $2
                 ORDER BY (application_name = $1) DESC NULLS LAST LIMIT 1
                """,
                [.text(applicationName), .text(version)]
            ),
            self.latestVersionQuery(applicationName: applicationName),
        ])
        return (try results[2].first?.optionalString(0), try results[3].first?.string(0))
    }

    func latestVersion(applicationName: String) async throws(PostgresError) -> String? {
        try await self.pool.execute(self.latestVersionQuery(applicationName: applicationName)).first?.string(0)
    }

    private func latestVersionQuery(applicationName: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT version_name FROM \(self.names.dbos).application_versions
             WHERE application_name = $1 OR application_name IS NULL
             ORDER BY version_timestamp DESC LIMIT 1
            """,
            [.text(applicationName)]
        )
    }
}
