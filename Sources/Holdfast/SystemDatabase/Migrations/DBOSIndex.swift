// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// An index of the DBOS schema. Fresh schemas and upgrades build it from this one definition.
struct DBOSIndex: Sendable, Hashable {
    enum Occasion {
        /// In a new schema, where a relation of that name is a mistake to report.
        case creation
        /// In a transaction that may be repeated.
        case upgrade
        /// Without blocking writers, which no transaction can do.
        case concurrentUpgrade
    }

    let name: String
    let table: String
    var isUnique = false
    /// Everything from the opening parenthesis on. Predicates must stay literally as they are: the planner matches them
    /// against the predicates of every SDK's statements.
    let definition: String

    func create(in schema: SchemaName, on occasion: Occasion) -> String {
        let manner =
            switch occasion {
            case .creation: ""
            case .upgrade: "IF NOT EXISTS "
            case .concurrentUpgrade: "CONCURRENTLY IF NOT EXISTS "
            }
        return "CREATE \(isUnique ? "UNIQUE " : "")INDEX \(manner)\(name) ON \(schema).\(table) \(definition)"
    }
}
