// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The server, as far as it matters whether its databases can be used.
package struct ServerInspection: Sendable, Hashable {
    /// The answer of `version()`.
    package var product: String
    /// Such as 150006 for 15.6.
    package var version: Int

    package init(product: String, version: Int) {
        self.product = product
        self.version = version
    }
}

/// What the catalog says about one schema. A plain value, so that every rule about it can be tested without a database.
package struct SchemaInspection: Sendable, Hashable {
    package var schemaExists: Bool
    /// The columns of each relation that bears one of our names.
    package var columns: [String: Set<String>]
    /// The rows of the version table, ascending; empty without one.
    package var versions: [Int]

    package init(schemaExists: Bool = false, columns: [String: Set<String>] = [:], versions: [Int] = []) {
        self.schemaExists = schemaExists
        self.columns = columns
        self.versions = versions
    }

    /// The version reached: 0 when nothing is recorded.
    package var version: Int { versions.last ?? 0 }

    /// What is missing of a layout, in words; `nil` when nothing is.
    package func missing(from layout: [String: Set<String>]) -> String? {
        var parts: [String] = []
        for (table, wanted) in layout.sorted(by: { $0.key < $1.key }) {
            guard let present = columns[table] else {
                parts.append("table \(table)")
                continue
            }
            let absent = wanted.subtracting(present).sorted()
            guard !absent.isEmpty else { continue }
            parts.append("\(absent.count == 1 ? "column" : "columns") \(absent.joined(separator: ", ")) of \(table)")
        }
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }
}
