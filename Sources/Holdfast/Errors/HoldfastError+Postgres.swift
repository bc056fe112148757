// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension HoldfastError {
    /// What the database said to a call, and what to do about it where that is known.
    init(_ error: PostgresError, doing what: String) {
        // Undefined schema, table and column: nobody has migrated this database, or an older program has.
        if ["3F000", "42P01", "42703"].contains(error.sqlState ?? "") {
            self.init(
                .schema,
                "\(what): the system database is missing or older than this program (\(error.message)); run 'holdfast migrate', "
                    + "or start an executor, which does it",
                underlying: error
            )
        } else if error.isLockTimeout {
            self.init(lockOf: "what this has to change", error, doing: what)
        } else {
            self.init(.database, "\(what): \(error)", underlying: error)
        }
    }

    /// Somebody's transaction holds what a call was to change.
    init(lockOf thing: String, _ error: PostgresError, doing what: String) {
        self.init(
            .locked,
            "\(what): somebody's open transaction holds \(thing); find it in pg_stat_activity and end it, or call again when it "
                + "is over",
            underlying: error
        )
    }
}
