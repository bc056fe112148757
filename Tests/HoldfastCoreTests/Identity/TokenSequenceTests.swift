// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("Ownership tokens")
struct TokenSequenceTests {
    @Test("Each is the incarnation, its number and chance, and none comes twice")
    func parts() {
        let incarnation = Incarnation()
        var tokens = TokenSequence(incarnation: incarnation)
        var seen: Set<String> = []
        for number: UInt64 in 1...3000 {
            let token = tokens.next()
            let parts = token.split(separator: "-", omittingEmptySubsequences: false)
            #expect(parts.count == 3)
            #expect(parts[0] == incarnation.text)
            #expect(token.prefix(Incarnation.length) == incarnation.text, "peers find a life's work by this prefix")
            #expect(UInt64(parts[1], radix: 36) == number)
            #expect(UInt32(parts[2], radix: 36) != nil)
            seen.insert(token)
        }
        #expect(seen.count == 3000)
    }

    @Test("None is ever longer than the 40 characters of the narrowest column")
    func length() {
        var tokens = TokenSequence(incarnation: Incarnation())
        let first = tokens.next()
        #expect(first.utf8.count <= Incarnation.length + 1 + 1 + 1 + 7)
        // The parts are base 36, as the test above reads them; these are the longest of each.
        let number = String(UInt64.max / 2, radix: 36).count
        let chance = String(UInt32.max, radix: 36).count
        #expect(Incarnation.length + 1 + number + 1 + chance <= 38)
    }

    @Test("Two processes that drew the same incarnation still make different tokens")
    func sameIncarnation() {
        let incarnation = Incarnation(text: "0123456789abcdef")
        var one = TokenSequence(incarnation: incarnation)
        var other = TokenSequence(incarnation: incarnation)
        let repeated = (0..<100).count { _ in one.next() == other.next() }
        #expect(repeated == 0)
    }
}
