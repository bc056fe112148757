// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Quoting for SQL that cannot take parameters.
package enum SQLText {
    /// A quoted identifier.
    package static func identifier(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// A dollar-quoted literal, which no content can end early.
    ///
    /// Function bodies hold the schema's name, and a schema may be called `a$fn$b`. Unlike doubled apostrophes this does
    /// not depend on `standard_conforming_strings`.
    package static func dollarQuoted(_ content: String) -> String {
        var tag = "$fn$"
        var attempt = 0
        while content.contains(tag) {
            attempt += 1
            tag = "$fn\(attempt)$"
        }
        return tag + content + tag
    }
}
