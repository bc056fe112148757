// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension SystemDatabase {
    /// The work that is open, as a subquery: what it costs grows with the open work and not with the finished.
    ///
    /// Two selects, because no index has the predicate of both, and Postgres does not split a list of states over several.
    func openWork(_ columns: String) -> String {
        """
        (SELECT \(columns) FROM \(self.names.dbos).workflow_status WHERE status IN ('ENQUEUED', 'PENDING')
         UNION ALL SELECT \(columns) FROM \(self.names.dbos).workflow_status WHERE status = 'DELAYED')
        """
    }
}
