// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
package import HoldfastPostgres
package import Logging

/// Every statement Holdfast sends to Postgres, as typed calls; one file per table family.
///
/// The texts are built once, with the schemas' names in place, so that each connection prepares each of them once.
package final class SystemDatabase: Sendable {
    let pool: PostgresPool
    let names: SchemaNames
    let statements: Statements
    let logger: Logger

    package init(pool: PostgresPool, names: SchemaNames, logger: Logger) {
        self.pool = pool
        self.names = names
        self.statements = Statements(names: names)
        self.logger = logger
    }

    package func close() async { await self.pool.close() }

    /// The texts of the statements that are sent often.
    struct Statements: Sendable {
        let start: String
        let checkpoint: String
        let outcome: String
        let claim: String
        let journal: String
        let notOwned: String
        let settledOutcomes: String
        let renew: String

        init(names: SchemaNames) {
            self.start = SystemDatabase.startSQL(names)
            self.checkpoint = SystemDatabase.checkpointSQL(names)
            self.outcome = SystemDatabase.outcomeSQL(names)
            self.claim = SystemDatabase.claimSQL(names)
            self.journal = SystemDatabase.journalSQL(names)
            self.notOwned = SystemDatabase.notOwnedSQL(names)
            self.settledOutcomes = SystemDatabase.settledOutcomesSQL(names)
            self.renew = SystemDatabase.renewSQL(names)
        }
    }

    /// A condition that always holds, and lets the transaction wait for no lock for longer than `parameter` says. As a part of
    /// a statement it costs neither a round trip nor a statement, and behind a pooler it leaves nothing to the session's next
    /// user. The transaction's later statements are limited as well.
    static func limitingLocks(to parameter: String) -> String {
        "(SELECT set_config('lock_timeout', \(parameter), TRUE)) IS NOT NULL"
    }

    /// The value for the parameter of `limitingLocks`.
    static func lockLimit(_ patience: Duration) -> PostgresBinding { .text("\(max(1, patience.inMilliseconds))ms") }

    /// Now by the database's clock, in milliseconds. The cast to bigint keeps comparisons with bigint columns indexable.
    static let nowMilliseconds = "(extract(epoch from now()) * 1000)::bigint"
}
