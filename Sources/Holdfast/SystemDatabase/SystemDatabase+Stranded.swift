// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension SystemDatabase {
    /// Open work that no live executor can claim, because none has its version and claims.
    ///
    /// Without a name: of all applications that have or recently had executors here. Others share the database and look
    /// after their work themselves. What belongs neither to an application nor to a version may be claimed by executors of
    /// the latest version of any.
    func strandedWork(applicationName: String?) async throws(PostgresError) -> [StrandedWork] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH members AS (
                  SELECT application_name AS name FROM \(self.names.holdfast).executors
                  UNION SELECT $1 WHERE $1::text IS NOT NULL
                ), latest AS (
                  SELECT m.name, v.version_name AS version FROM members m CROSS JOIN LATERAL (
                    SELECT version_name FROM \(self.names.dbos).application_versions
                     WHERE application_name = m.name OR application_name IS NULL
                     ORDER BY version_timestamp DESC LIMIT 1) v
                ), open AS (
                  SELECT application_name AS name, application_version AS version, count(*) AS workflows
                    FROM \(self.openWork("application_name, application_version, serialization")) w
                   WHERE CASE WHEN application_name IS NULL
                              THEN application_version IS NULL AND serialization = 'portable_json'
                              ELSE application_name = $1 OR ($1 IS NULL AND application_name IN (SELECT name FROM members)) END
                   GROUP BY 1, 2
                ), named AS (
                  SELECT o.name, coalesce(o.version, l.version) AS version, o.workflows
                    FROM open o LEFT JOIN latest l USING (name)
                )
                SELECT n.name, n.version, sum(n.workflows)::int8 FROM named n
                 WHERE NOT EXISTS (
                   SELECT 1 FROM \(self.names.holdfast).executors e
                     LEFT JOIN latest l ON l.name = e.application_name
                    WHERE (n.name IS NULL OR e.application_name = n.name)
                      AND e.application_version = coalesce(n.version, l.version, e.application_version)
                      AND \(Self.isAlive("e")) AND NOT \(Self.isDraining("e")))
                 GROUP BY 1, 2 ORDER BY 1, 2
                """,
                [.text(applicationName)]
            )
        )
        var stranded: [StrandedWork] = []
        for row in result {
            stranded.append(
                StrandedWork(
                    applicationName: try row.optionalString(0),
                    version: try row.optionalString(1),
                    workflows: try row.int(2)
                )
            )
        }
        return stranded
    }
}
