// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The name of a Postgres schema.
///
/// Interpolated into SQL it is quoted, so that `"\(names.dbos).queues"` is right for every name, and so that nobody can
/// forget it. Bind ``text`` where a query compares the name as a value.
package struct SchemaName: Sendable, Hashable, CustomStringConvertible {
    /// The name as the catalog holds it.
    package let text: String

    package init(_ text: String) throws(MigrationError) {
        func refuse(_ reason: String) -> MigrationError {
            MigrationError(.invalidSchemaName, "The schema name \"\(text)\" cannot be used: \(reason).")
        }
        guard !text.allSatisfy(\.isWhitespace) else { throw refuse("it is blank") }
        guard !text.utf8.contains(0) else { throw refuse("it holds a NUL byte") }
        // Postgres would cut it off without a word, and the catalog would then not know the name we ask for.
        guard text.utf8.count <= 63 else { throw refuse("it is longer than 63 bytes") }
        guard !text.hasPrefix("pg_"), text != "information_schema" else {
            throw refuse("it belongs to Postgres itself")
        }
        self.text = text
    }

    fileprivate init(known text: String) { self.text = text }

    /// The name as a quoted identifier.
    package var description: String { SQLText.identifier(text) }
}

/// The two schemas of a system database.
package struct SchemaNames: Sendable, Hashable {
    /// What every SDK shares. Its layout is DBOS Transact's.
    package let dbos: SchemaName
    /// What only Holdfast reads and writes: membership and takeovers.
    package let holdfast: SchemaName

    /// `dbos` and `holdfast`.
    package static let standard = SchemaNames()

    private init() {
        dbos = SchemaName(known: "dbos")
        holdfast = SchemaName(known: "holdfast")
    }

    package init(dbos: String = "dbos", holdfast: String = "holdfast") throws(MigrationError) {
        self.dbos = try SchemaName(dbos)
        self.holdfast = try SchemaName(holdfast)
        guard self.dbos != self.holdfast else {
            throw MigrationError(
                .invalidSchemaName,
                "Holdfast's own schema and the DBOS schema are both named \"\(dbos)\"; give them different names,"
                    + " because other programs migrate the DBOS schema."
            )
        }
    }
}
