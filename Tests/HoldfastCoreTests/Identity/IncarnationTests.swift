// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("Incarnations")
struct IncarnationTests {
    /// Generators at the edges show whether short numbers are filled up.
    private struct Fixed: RandomNumberGenerator {
        var value: UInt64
        mutating func next() -> UInt64 { self.value }
    }

    private static let drawn: [(UInt64, String, Int64)] = [
        (0, "0000000000000000", 0), (1, "0000000000000001", 1),
        (0x0123_4567_89ab_cdef, "0123456789abcdef", 0x0123_4567_89ab_cdef),
        (.max, "ffffffffffffffff", -1), (0x8000_0000_0000_0000, "8000000000000000", .min),
    ]

    @Test("One is 16 hexadecimal digits, and its lock is the number they write", arguments: drawn)
    func digits(value: UInt64, text: String, lockKey: Int64) {
        var generator = Fixed(value: value)
        let incarnation = Incarnation(using: &generator)
        #expect(incarnation.text == text)
        #expect("\(incarnation)" == text)
        #expect(incarnation.lockKey == lockKey)
        #expect(text.count == Incarnation.length)
        #expect(Incarnation(text: text) == incarnation)
    }

    @Test("Two lives differ")
    func uniqueness() {
        #expect(Set((0..<1000).map { _ in Incarnation() }).count == 1000)
        #expect(Set((0..<1000).map { _ in Incarnation().lockKey }).count == 1000)
    }
}
