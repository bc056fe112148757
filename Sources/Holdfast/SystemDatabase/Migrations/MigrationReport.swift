// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What was found on connecting and what was done about it.
package struct MigrationReport: Sendable, Hashable {
    package enum Outcome: String, Sendable, Hashable {
        /// Nothing had to be done.
        case current
        /// A newer program had migrated the schema. Nothing was done.
        case ahead
        case created
        case upgraded
    }

    package struct Schema: Sendable, Hashable {
        package var outcome: Outcome
        /// The version recorded when this process first looked; 0 when there was nothing.
        package var found: Int
        /// The version recorded now.
        package var version: Int

        package var isAhead: Bool { outcome == .ahead }

        package init(outcome: Outcome, found: Int, version: Int) {
            self.outcome = outcome
            self.found = found
            self.version = version
        }
    }

    /// Whether the database itself was missing and has been created.
    package var createdDatabase: Bool
    package var dbos: Schema
    package var holdfast: Schema

    package init(createdDatabase: Bool, dbos: Schema, holdfast: Schema) {
        self.createdDatabase = createdDatabase
        self.dbos = dbos
        self.holdfast = holdfast
    }
}
