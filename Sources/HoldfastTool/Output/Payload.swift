// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// An input, output or error as the database holds it.
struct Payload: Sendable {
    let stored: String
    /// What was stored, if it is of the format that every language reads.
    let portable: PayloadText?

    init?(_ stored: String?, serialization: String?) {
        guard let stored else { return nil }
        self.stored = stored
        self.portable = serialization == "portable_json" ? try? PayloadText(parsing: stored) : nil
    }

    /// The value itself when it is portable; otherwise the stored text, as a string.
    var json: JSONText { self.portable.map(JSONText.payload) ?? .string(self.stored) }

    /// One line for a table.
    func preview(limit: Int = 60) -> String { Printable.elided(self.portable?.text ?? self.stored, to: limit) }

    /// All of it, indented.
    var lines: [String] {
        let text = self.portable.map { JSONLayout.indented($0.text) } ?? self.stored
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { Printable.line(String($0)) }
    }
}

extension JSONText {
    init(_ payload: Payload?) { self = payload?.json ?? .null }
}
