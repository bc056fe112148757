// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

extension SystemDatabase {
    /// Whom a version's name belongs to (`nil`: nobody yet), and whether a registration would leave it the latest.
    func versionStanding(
        _ version: String,
        applicationName: String
    ) async throws(PostgresError) -> (owner: String?, isOrBecomesLatest: Bool) {
        let results = try await self.pool.pipeline([
            self.versionOwnerQuery(version, applicationName: applicationName),
            self.latestVersionQuery(applicationName: applicationName),
            PostgresQuery(
                """
                SELECT NOT EXISTS (
                  SELECT 1 FROM \(self.names.holdfast).retired_versions r
                   WHERE r.application_name = $1 AND r.version_name = $2 AND r.version_timestamp < (
                     SELECT max(v.version_timestamp) FROM \(self.names.dbos).application_versions v
                      WHERE v.application_name = $1 OR v.application_name IS NULL))
                """,
                [.text(applicationName), .text(version)]
            ),
        ])
        guard let row = results[0].first else { return (nil, try results[2].first?.bool(0) ?? true) }
        return (try row.optionalString(0), try results[1].first?.string(0) == version)
    }

    /// Registers a version of an application; registering again changes nothing, so restarting an old version does not
    /// make it the latest. Neither does starting one that was retired: it gets its former time.
    ///
    /// - Returns: The application that owns the version's name (`nil`: nobody), and the latest version's name.
    func registerVersion(
        _ version: String,
        applicationName: String
    ) async throws(PostgresError) -> (owner: String?, latest: String?) {
        let results = try await self.patiently([
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
                INSERT INTO \(self.names.dbos).application_versions
                  (version_id, version_name, application_name, version_timestamp)
                SELECT gen_random_uuid()::text, $2, $1, coalesce((
                  SELECT r.version_timestamp FROM \(self.names.holdfast).retired_versions r
                   WHERE r.application_name = $1 AND r.version_name = $2), \(Self.nowMilliseconds))
                ON CONFLICT DO NOTHING
                """,
                [.text(applicationName), .text(version)]
            ),
            self.versionOwnerQuery(version, applicationName: applicationName),
            self.latestVersionQuery(applicationName: applicationName),
        ])
        return (try results[2].first?.optionalString(0), try results[3].first?.string(0))
    }

    private func versionOwnerQuery(_ version: String, applicationName: String) -> PostgresQuery {
        PostgresQuery(
            """
            SELECT application_name FROM \(self.names.dbos).application_versions WHERE version_name = $2
             ORDER BY (application_name = $1) DESC NULLS LAST LIMIT 1
            """,
            [.text(applicationName), .text(version)]
        )
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

    /// Every version that is registered, has open work, or has live executors. Work without a version is the latest one's.
    func versions(applicationName: String) async throws(PostgresError) -> [VersionReport] {
        let result = try await self.pool.execute(
            PostgresQuery(
                """
                WITH registered AS (
                  SELECT version_name AS version, max(version_timestamp) AS at
                    FROM \(self.names.dbos).application_versions
                   WHERE application_name = $1 OR application_name IS NULL GROUP BY 1
                ), latest AS (
                  SELECT version FROM registered ORDER BY at DESC LIMIT 1
                ), open AS (
                  SELECT coalesce(application_version, (SELECT version FROM latest)) AS version,
                         count(*) FILTER (WHERE status = 'ENQUEUED') AS enqueued,
                         count(*) FILTER (WHERE status = 'PENDING') AS pending,
                         count(*) FILTER (WHERE status = 'DELAYED') AS delayed,
                         count(*) FILTER (WHERE application_version IS NULL) AS unversioned,
                         min(created_at) AS oldest
                    FROM \(self.openWork("application_name, application_version, status, created_at")) w
                   WHERE application_name = $1 OR application_name IS NULL
                   GROUP BY 1
                ), live AS (
                  SELECT application_version AS version, count(*) AS executors,
                         count(*) FILTER (WHERE \(Self.isDraining("e"))) AS draining
                    FROM \(self.names.holdfast).executors e
                   WHERE application_name = $1 AND \(Self.isAlive("e")) GROUP BY 1
                )
                SELECT version, r.at, coalesce(l.executors, 0), coalesce(o.enqueued, 0), coalesce(o.pending, 0),
                       coalesce(o.delayed, 0), o.oldest, coalesce(version = (SELECT version FROM latest), FALSE),
                       coalesce(l.draining, 0), coalesce(o.unversioned, 0)
                  FROM registered r FULL JOIN live l USING (version) FULL JOIN open o USING (version)
                 WHERE version IS NOT NULL
                 ORDER BY r.at DESC NULLS LAST, version
                """,
                [.text(applicationName)]
            )
        )
        var versions: [VersionReport] = []
        for row in result {
            versions.append(
                VersionReport(
                    name: try row.string(0),
                    isLatest: try row.bool(7),
                    registeredAt: try row.optionalInt(1).map { .init(epochMilliseconds: $0) },
                    liveExecutors: try row.int(2),
                    drainingExecutors: try row.int(8),
                    enqueued: try row.int(3),
                    pending: try row.int(4),
                    delayed: try row.int(5),
                    unversioned: try row.int(9),
                    oldestOpenAt: try row.optionalInt(6).map { .init(epochMilliseconds: $0) }
                )
            )
        }
        return versions
    }

    /// Makes a registered version the latest. Returns `false` when the application has no such version.
    func setLatestVersion(_ version: String, applicationName: String) async throws(PostgresError) -> Bool {
        try await self.patiently(
            PostgresQuery(
                """
                UPDATE \(self.names.dbos).application_versions v
                   SET application_name = $2,
                       version_timestamp = greatest(\(Self.nowMilliseconds), 1 + (
                         SELECT max(version_timestamp) FROM \(self.names.dbos).application_versions
                          WHERE (application_name = $2 OR application_name IS NULL) AND version_name <> $1))
                 WHERE version_name = $1 AND (application_name = $2 OR application_name IS NULL)
                """,
                [.text(version), .text(applicationName)]
            )
        ).affectedRows > 0
    }

    /// Forgets a version that nobody runs and no open work names; the statement looks again itself. Only when it was registered
    /// is remembered, in case an executor of it starts after all.
    func retireVersion(_ version: String, applicationName: String) async throws(PostgresError) -> Bool {
        try await self.patiently(
            PostgresQuery(
                """
                WITH retired AS (
                  DELETE FROM \(self.names.dbos).application_versions v
                   WHERE v.version_name = $1 AND (v.application_name = $2 OR v.application_name IS NULL)
                     AND NOT EXISTS (SELECT 1 FROM \(self.openWork("application_name, application_version")) w
                           WHERE application_version = $1 AND (application_name = $2 OR application_name IS NULL))
                     AND NOT EXISTS (SELECT 1 FROM \(self.names.holdfast).executors e
                           WHERE application_name = $2 AND application_version = $1 AND \(Self.isAlive("e")))
                  RETURNING v.version_timestamp
                )
                INSERT INTO \(self.names.holdfast).retired_versions (application_name, version_name, version_timestamp)
                SELECT $2, $1, max(version_timestamp) FROM retired HAVING count(*) > 0
                ON CONFLICT (application_name, version_name) DO UPDATE
                  SET version_timestamp = excluded.version_timestamp, retired_at = excluded.retired_at
                """,
                [.text(version), .text(applicationName)]
            )
        ).affectedRows > 0
    }

    /// The most workflows that one statement re-pins: its rows are locked until it commits.
    static let repinLimit = 1000

    /// Gives a batch of the waiting work of one version to another, and of the work its ended executors left behind.
    ///
    /// Work that a live executor runs is left alone: it is handed over when that executor ends.
    ///
    /// - Returns: How many workflows now belong to the other version, by queue.
    func repin(
        from version: String,
        to target: String,
        applicationName: String
    ) async throws(PostgresError) -> [String: Int] {
        let result = try await self.patiently(
            PostgresQuery(
                """
                WITH picked AS MATERIALIZED (
                  SELECT s.workflow_uuid, s.status, s.executor_id, left(s.owner_xid, \(Incarnation.length)) AS incarnation
                    FROM \(self.names.dbos).workflow_status s
                   WHERE s.application_version = $1 AND (s.application_name = $3 OR s.application_name IS NULL)
                     -- Each state by itself, because it has a partial index.
                     AND (s.status = 'ENQUEUED' OR s.status = 'DELAYED'
                          OR (s.status = 'PENDING' AND EXISTS (
                            SELECT 1 FROM \(self.names.holdfast).executors e
                             WHERE e.executor_id = s.executor_id AND e.incarnation = left(s.owner_xid, \(Incarnation.length))
                               AND e.state IN ('dead', 'stopped'))))
                   LIMIT \(Self.repinLimit) FOR NO KEY UPDATE OF s SKIP LOCKED
                ), moved AS (
                  UPDATE \(self.names.dbos).workflow_status w
                     SET application_version = $2, owner_xid = NULL, updated_at = \(Self.nowMilliseconds),
                         started_at_epoch_ms = NULL,
                         status = CASE w.status WHEN 'PENDING' THEN 'ENQUEUED' ELSE w.status END,
                         queue_name = coalesce(w.queue_name, '\(Self.internalQueue)')
                   WHERE w.workflow_uuid = ANY(ARRAY(SELECT workflow_uuid FROM picked))
                  RETURNING w.workflow_uuid, w.queue_name
                ), recorded AS (
                  INSERT INTO \(self.names.holdfast).takeovers
                    (workflow_uuid, from_executor_id, from_incarnation, by_executor_id, by_incarnation,
                     application_version, reason, strikes)
                  SELECT p.workflow_uuid, p.executor_id, p.incarnation, 'operator', '', $1, 'repinned', 0
                    FROM picked p JOIN moved m USING (workflow_uuid) WHERE p.status = 'PENDING'
                )
                SELECT queue_name, count(*) FROM moved GROUP BY 1
                """,
                [.text(version), .text(target), .text(applicationName)]
            )
        )
        var moved: [String: Int] = [:]
        for row in result { moved[try row.string(0)] = try row.int(1) }
        return moved
    }

    enum DrainScope: Sendable {
        case executors([String])
        case version(String)
    }

    /// Asks executors to drain. Returns the live ones that were asked.
    func requestDrain(_ scope: DrainScope, applicationName: String?) async throws(PostgresError) -> [String] {
        let (column, names) =
            switch scope {
            case .executors(let ids): ("executor_id", ids)
            case .version(let version): ("application_version", [version])
            }
        let result = try await self.patiently(
            PostgresQuery(
                """
                UPDATE \(self.names.holdfast).executors SET drain_requested = TRUE
                 WHERE \(column) = ANY($1::text[]) AND ($2::text IS NULL OR application_name = $2)
                   AND state IN ('active', 'draining')
                RETURNING executor_id
                """,
                [.textArray(names), .text(applicationName)]
            )
        )
        return try Self.strings(result)
    }
}
