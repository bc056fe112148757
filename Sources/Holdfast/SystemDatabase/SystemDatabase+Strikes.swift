// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// How a takeover is judged.
///
/// A workflow under which executors keep dying is suspected of killing them. A *strike* is a death since its last checkpoint,
/// so a workflow that makes progress has none. The first one costs nothing: most workflows on a dying executor are bystanders.
/// From the second on it waits, 1 s, 2 s, 4 s … 60 s, times 0.5 to 1.5, which parts it from its neighbours.
///
/// After `quarantineAfter` strikes it is given up, unless another workflow of the same executor has as many. So a bystander
/// never is before the culprit is: each of its deaths was one of the culprit's as well. As long as they are level both wait,
/// from two minutes up to an hour: however long it takes to kill, the culprit comes to do so without the other.
///
/// Whether a workflow runs a step is not recorded. One whose last record is an unfinished sleep or an open child probably
/// waits for that, but beside it may run a step that kills. So it has some strikes to spare, and no more. A death after it
/// has long lived with its executor is a coincidence, and what happened before is forgotten. A culprit that takes so long to kill
/// is never seen as one, and a neighbour in a long step has all the strikes.
extension SystemDatabase {
    /// Nobody has died, so that the run was no attempt either: the executor's process lives on, lived when another took its
    /// slot, or was told to stop and could not hand back what somebody had locked. Or nobody has judged: the workflow was given
    /// to another version.
    static let reasonsWithoutDeath = "('replaced', 'rejoined', 'shutdown', 'repinned')"

    /// How many strikes a workflow that seems to wait has to spare.
    static let strikesToSpare = 2

    /// In milliseconds: what only waits and has lived for so long did not cause the death that follows.
    private static let lifeThatAcquits = 60_000

    /// Whether the workflow of `row` seems to wait only: its last record is an unfinished sleep, or a child that is open.
    func seemsToWait(_ row: String) -> String {
        """
        EXISTS (SELECT 1 FROM (
            SELECT o.function_name, o.completed_at_epoch_ms, o.child_workflow_id
              FROM \(self.names.dbos).operation_outputs o WHERE o.workflow_uuid = \(row).workflow_uuid
             ORDER BY o.function_id DESC LIMIT 1) l
          WHERE (l.function_name = 'DBOS.sleep' AND l.completed_at_epoch_ms > \(Self.nowMilliseconds))
             OR EXISTS (SELECT 1 FROM \(self.names.dbos).workflow_status c
                  WHERE c.workflow_uuid = l.child_workflow_id AND c.status IN ('ENQUEUED', 'PENDING', 'DELAYED')))
        """
    }

    /// The strikes of a workflow with this death, since its last checkpoint or acquittal.
    ///
    /// They cannot be more than its attempts: each has kept one, and whoever resumes a workflow, in whatever language, sets the
    /// number of its attempts to zero.
    private func strikes(withThisDeathOf row: String) -> String {
        """
        least(greatest(coalesce(\(row).recovery_attempts, 0), 1), (
          SELECT 1 + count(*) FILTER (WHERE h.strikes > 0 AND h.id > h.acquitted) FROM (
            SELECT t.id, t.strikes, coalesce(max(t.id) FILTER (WHERE t.strikes = 0) OVER (), 0) AS acquitted
              FROM \(self.names.holdfast).takeovers t
             WHERE t.workflow_uuid = \(row).workflow_uuid AND t.reason NOT IN \(Self.reasonsWithoutDeath)
               AND t.at > to_timestamp(coalesce((
                 SELECT max(o.retention_timestamp) FROM \(self.names.dbos).operation_outputs o
                  WHERE o.workflow_uuid = \(row).workflow_uuid), 0) / 1000.0)) h))::int4
        """
    }

    /// The strikes of a workflow that is taken over for a `reason`, seems to wait or not (`waits`), and has `lived` so long.
    func strikes(of row: String) -> String {
        """
        CASE WHEN \(row).reason IN \(Self.reasonsWithoutDeath) THEN 0
             WHEN \(row).waits AND \(row).lived >= \(Self.lifeThatAcquits) THEN 0
             ELSE \(self.strikes(withThisDeathOf: row)) END
        """
    }

    /// Whether another workflow of the same dead executor has as many strikes as `judged`: one that was taken over before, or
    /// one that is still to be taken over, perhaps by somebody else at this very moment.
    func hasRival(_ judged: String) -> String {
        """
        (EXISTS (SELECT 1 FROM \(self.names.holdfast).takeovers t
                  WHERE t.from_incarnation = \(judged).incarnation AND t.at >= \(judged).ended_at
                    AND t.workflow_uuid <> \(judged).workflow_uuid AND t.strikes >= \(judged).strikes)
         OR EXISTS (SELECT 1 FROM \(self.names.dbos).workflow_status r
                  WHERE r.status = 'PENDING' AND r.executor_id = \(judged).executor_id
                    AND left(r.owner_xid, \(Incarnation.length)) = \(judged).incarnation
                    AND r.workflow_uuid <> \(judged).workflow_uuid
                    AND \(self.strikes(withThisDeathOf: "r")) >= \(judged).strikes))
        """
    }

    /// How many milliseconds a workflow waits.
    ///
    /// - Parameters:
    ///   - strikes: Two or more.
    ///   - limit: After how many it would be given up if it had no rival; NULL: never.
    static func delay(strikes: String, limit: String) -> String {
        let doubled = "power(2, least(\(strikes) - 2, 12))"
        return """
            ((CASE WHEN \(strikes) > \(limit) THEN least(greatest(\(doubled), 128), 3600) ELSE least(\(doubled), 60) END)
              * (500 + 1000 * random()))::int8
            """
    }
}
