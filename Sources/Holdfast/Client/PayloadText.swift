// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// A payload whose type nobody knows here: JSON that keeps the order of its keys and the text of its numbers.
///
/// As the input of a workflow it is stored as it was written.
package struct PayloadText: Sendable, Codable {
    private let value: JSONValue

    /// - Throws: ``HoldfastError/Code/undecodable`` when the text is not JSON.
    package init(parsing text: String) throws(HoldfastError) {
        do throws(PortableJSONError) {
            self.value = try PortableJSON.parse(text)
        } catch {
            throw HoldfastError(.undecodable, "\(error)", underlying: error)
        }
    }

    /// The JSON without blanks.
    package var text: String { PortableJSON.text(of: self.value) }

    package init(from decoder: any Decoder) throws {
        self.value = try decoder.singleValueContainer().decode(JSONValue.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.value)
    }
}
