// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One life of an executor process: 16 hexadecimal digits drawn at boot.
///
/// Every ownership token of that life begins with it, so the work of a dead life can be told from the work of its
/// successor in the same slot.
package struct Incarnation: Sendable, Hashable, CustomStringConvertible {
    package static let length = 16

    package let text: String

    package init(text: String) { self.text = text }

    package init(using generator: inout some RandomNumberGenerator) {
        self.text = UInt64.random(in: .min ... .max, using: &generator).hexadecimal
    }

    package init() {
        var generator = SystemRandomNumberGenerator()
        self.init(using: &generator)
    }

    /// The key of the session-level advisory lock which this life's lease session holds.
    package var lockKey: Int64 { Int64(bitPattern: UInt64(self.text, radix: 16) ?? 0) }

    package var description: String { self.text }
}

/// Makes ownership tokens: `<incarnation>-<sequence>-<random>`, 38 characters at most.
///
/// TypeScript's databases keep tokens in `VARCHAR(40)`. The random part keeps a token from being guessed or repeated
/// should two processes ever draw the same incarnation.
package struct TokenSequence: Sendable {
    private let incarnation: Incarnation
    private var counter: UInt64 = 0

    package init(incarnation: Incarnation) { self.incarnation = incarnation }

    package mutating func next() -> String {
        self.counter += 1
        let random = UInt32.random(in: .min ... .max)
        return "\(self.incarnation.text)-\(String(self.counter, radix: 36))-\(String(random, radix: 36))"
    }

    /// Whether `token` belongs to this life.
    package func made(_ token: String) -> Bool { token.hasPrefix("\(self.incarnation.text)-") }
}

extension UInt64 {
    var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
