// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension HoldfastSchema {
    /// Version 2: how many executors each version of each application needs, for an autoscaler to read.
    ///
    /// The view reads a function and not the tables: Postgres refuses to alter or drop a column that a view mentions, and
    /// the tables are those of every SDK. What a function's text mentions nobody is bound by.
    ///
    /// The function runs with its owner's rights, so that a role that may read the view needs no right to read anyone's inputs.
    static func autoscaling(in names: SchemaNames) -> String {
        """
        CREATE FUNCTION \(names.holdfast).autoscaling_figures() RETURNS TABLE (
          application_name TEXT, application_version TEXT, is_latest BOOLEAN, enqueued INT8, due INT8, delayed INT8,
          pending INT8, waiting INT8, oldest_open_at TIMESTAMPTZ, live_executors INT8, slots_per_executor INT4, demand INT8,
          desired_executors INT8
        ) LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
        AS \(SQLText.dollarQuoted("\n\(autoscalingFigures(in: names))\n"));
        -- With its owner's rights, it is not for everyone.
        REVOKE ALL ON FUNCTION \(names.holdfast).autoscaling_figures() FROM PUBLIC;

        CREATE VIEW \(names.holdfast).autoscaling AS SELECT * FROM \(names.holdfast).autoscaling_figures();
        COMMENT ON VIEW \(names.holdfast).autoscaling IS
          'The open work of each version of each application, and how many executors it needs. Reading it changes nothing.';
        """
    }

    /// The query behind the view.
    ///
    /// Work that is open or waits for its time is found through partial indexes, so what it costs grows with the open work
    /// and not with the finished. The two selects are apart because no index has the predicate of both.
    ///
    /// Whether a member lives is taken from its state, not from its lease, where it says how much of the work waits: after a
    /// restart of Postgres every lease looks expired for a moment, and all that sleeps would look like work to do.
    static func autoscalingFigures(in names: SchemaNames) -> String {
        let dbos = names.dbos
        let holdfast = names.holdfast
        let now = "(extract(epoch from now()) * 1000)::int8"
        return """
            WITH members AS MATERIALIZED (
              SELECT e.incarnation, e.application_name, e.application_version, e.running, e.capacity, e.started_at,
                     e.state IN ('active', 'draining') AS is_alive,
                     e.state IN ('active', 'draining') AND e.lease_expires_at > clock_timestamp() AS is_live
                FROM \(holdfast).executors e
            ), work AS MATERIALIZED (
              SELECT w.application_name, w.application_version, w.queue_name,
                     count(*) FILTER (WHERE w.status = 'ENQUEUED') AS enqueued, 0::int8 AS due, 0::int8 AS delayed,
                     count(*) FILTER (WHERE w.status = 'PENDING') AS pending,
                     count(m.incarnation) AS owned, min(w.created_at) AS oldest
                FROM \(dbos).workflow_status w
                LEFT JOIN members m ON w.status = 'PENDING' AND m.is_alive
                      AND m.incarnation = left(w.owner_xid, \(Incarnation.length))
               WHERE w.status IN ('ENQUEUED', 'PENDING')
               GROUP BY 1, 2, 3
              UNION ALL
              SELECT w.application_name, w.application_version, w.queue_name, 0,
                     count(*) FILTER (WHERE coalesce(w.delay_until_epoch_ms, 0) <= \(now) + 60000),
                     count(*) FILTER (WHERE w.delay_until_epoch_ms > \(now) + 60000), 0, 0, min(w.created_at)
                FROM \(dbos).workflow_status w
               WHERE w.status = 'DELAYED'
               GROUP BY 1, 2, 3
            ), registered AS MATERIALIZED (
              SELECT v.application_name, v.version_name AS application_version, v.version_timestamp
                FROM \(dbos).application_versions v
            ), named AS MATERIALIZED (
              SELECT application_name, application_version FROM registered
              UNION SELECT application_name, application_version FROM members WHERE is_alive
              UNION SELECT application_name, application_version FROM work WHERE application_name IS NOT NULL
            ), latest AS MATERIALIZED (
              -- The claim's rule: the newest among the application's own versions and those nobody has claimed.
              SELECT a.application_name, (
                SELECT r.application_version FROM registered r
                 WHERE r.application_name = a.application_name OR r.application_name IS NULL
                 ORDER BY r.version_timestamp DESC LIMIT 1) AS application_version
                FROM (SELECT DISTINCT application_name FROM named) a
            ), versions AS MATERIALIZED (
              SELECT application_name, application_version FROM named WHERE application_version IS NOT NULL
              UNION SELECT application_name, application_version FROM latest
              -- Work that names no application belongs to each that has its version; nobody has these versions.
              UNION SELECT NULL, w.application_version FROM work w
               WHERE w.application_name IS NULL
                 AND NOT EXISTS (SELECT 1 FROM named n
                       WHERE w.application_version IS NULL OR n.application_version = w.application_version)
            ), slots AS MATERIALIZED (
              SELECT DISTINCT ON (application_name, application_version)
                     application_name, application_version, capacity, started_at
                FROM members ORDER BY application_name, application_version, started_at DESC
            ), fleet AS MATERIALIZED (
              SELECT v.application_name, v.application_version,
                     -- True for the row without a version, which an application has as long as none is registered.
                     v.application_version IS NOT DISTINCT FROM l.application_version AS is_latest,
                     coalesce((SELECT s.capacity FROM slots s WHERE s.application_name = v.application_name
                                ORDER BY s.application_version = v.application_version DESC, s.started_at DESC LIMIT 1),
                              256) AS slots_per_executor,
                     (SELECT count(*) FROM members m
                       WHERE m.is_live AND m.application_name = v.application_name
                         AND m.application_version = v.application_version) AS live_executors,
                     (SELECT coalesce(sum(m.running), 0) FROM members m
                       WHERE m.is_alive AND m.application_name = v.application_name
                         AND m.application_version = v.application_version) AS running
                FROM versions v
                LEFT JOIN latest l ON l.application_name IS NOT DISTINCT FROM v.application_name
            ), queued AS (
              SELECT f.application_name, f.application_version, f.slots_per_executor, w.queue_name,
                     sum(w.enqueued) AS enqueued, sum(w.due) AS due, sum(w.delayed) AS delayed,
                     sum(w.pending) AS pending, sum(w.owned) AS owned, min(w.oldest) AS oldest,
                     sum(w.enqueued + w.due + w.pending) AS wanted
                FROM fleet f
                JOIN work w ON (w.application_name = f.application_name OR w.application_name IS NULL)
                 AND CASE WHEN w.application_version IS NULL THEN f.is_latest
                          ELSE w.application_version = f.application_version END
               GROUP BY 1, 2, 3, 4
            ), limited AS (
              -- No more may run than the queue allows in the fleet, and in each executor.
              SELECT q.*, CASE WHEN l.concurrency IS NULL THEN q.wanted ELSE least(q.wanted, l.concurrency) END AS allowed,
                     CASE WHEN l.worker_concurrency > 0
                          THEN least(l.worker_concurrency, q.slots_per_executor) END AS share
                FROM queued q LEFT JOIN \(dbos).queues l ON l.name = q.queue_name
            ), totals AS (
              SELECT application_name, application_version, sum(enqueued) AS enqueued, sum(due) AS due,
                     sum(delayed) AS delayed, sum(pending) AS pending, sum(owned) AS owned, min(oldest) AS oldest,
                     sum(wanted) AS wanted, sum(allowed) AS allowed, max(ceil(allowed / share)) AS executors
                FROM limited GROUP BY 1, 2
            ), counted AS (
              SELECT f.*, coalesce(t.enqueued, 0) AS enqueued, coalesce(t.due, 0) AS due,
                     coalesce(t.delayed, 0) AS delayed, coalesce(t.pending, 0) AS pending, t.oldest,
                     greatest(coalesce(t.owned, 0) - f.running, 0) AS waiting, coalesce(t.wanted, 0) AS wanted,
                     greatest(coalesce(t.allowed, 0) - greatest(coalesce(t.owned, 0) - f.running, 0), 0) AS demand,
                     coalesce(t.executors, 0) AS executors
                FROM fleet f
                LEFT JOIN totals t ON t.application_name IS NOT DISTINCT FROM f.application_name
                 AND t.application_version IS NOT DISTINCT FROM f.application_version
            )
            SELECT application_name, application_version, is_latest, enqueued::int8, due::int8, delayed::int8, pending::int8,
                   waiting::int8, to_timestamp(oldest / 1000.0), live_executors, slots_per_executor, demand::int8,
                   CASE WHEN wanted = 0 THEN 0
                        ELSE greatest(1, ceil(demand / slots_per_executor::numeric), executors) END::int8
              FROM counted
             WHERE application_version IS NOT NULL OR wanted + delayed > 0
             ORDER BY application_name, is_latest DESC, application_version
            """
    }
}
