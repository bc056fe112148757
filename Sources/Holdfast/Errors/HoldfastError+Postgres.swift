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
        } else {
            self.init(.database, "\(what): \(error)", underlying: error)
        }
    }
}
