// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

@Suite("Time-ordered ids")
struct TimeOrderedIDTests {
    @Test("The moment, the version, the variant and chance stand where RFC 9562 puts them")
    func layout() throws {
        var generator = SeededGenerator(seed: 1)
        let moment: Int64 = 0x0198_7654_3210
        for _ in 0..<1000 {
            let id = TimeOrderedID.make(milliseconds: moment, using: &generator)
            #expect(id.utf8.count == 36)
            #expect(id.hasPrefix("01987654-3210-7"))
            let groups = id.split(separator: "-", omittingEmptySubsequences: false)
            #expect(groups.map(\.count) == [8, 4, 4, 4, 12])
            #expect(groups.joined().utf8.allSatisfy("0123456789abcdef".utf8.contains))
            #expect(groups[2].first == "7")
            #expect(try "89ab".contains(#require(groups[3].first)))
        }
    }

    @Test("Later ids sort after earlier ones, as text", arguments: 1...10)
    func order(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var moment: Int64 = 0
        var previous = ""
        while moment < 1 << 48 {
            let id = TimeOrderedID.make(milliseconds: moment, using: &generator)
            #expect(previous < id)
            previous = id
            moment += 1 + Int64(generator.next() % UInt64(moment / 4 + 1))
        }
    }

    @Test("Every random bit varies")
    func randomBits() {
        var generator = SeededGenerator(seed: 2)
        var ones: UInt64 = 0
        var zeros: UInt64 = 0
        for _ in 0..<200 {
            let digits = TimeOrderedID.make(milliseconds: 0, using: &generator).filter { $0 != "-" }
            let low = UInt64(digits.suffix(16), radix: 16) ?? 0
            ones |= low
            zeros |= ~low
        }
        #expect(ones == 0xBFFF_FFFF_FFFF_FFFF)
        #expect(zeros == 0x7FFF_FFFF_FFFF_FFFF)
    }

    @Test("Ids of one millisecond differ")
    func uniqueness() {
        #expect(Set((0..<5000).map { _ in TimeOrderedID.make(milliseconds: 1) }).count == 5000)
    }

    @Test("Moments beyond the field still make well-formed ids", arguments: [-1, Int64.min, Int64.max, 1 << 48])
    func moments(_ moment: Int64) {
        let id = TimeOrderedID.make(milliseconds: moment)
        #expect(id.utf8.count == 36)
        #expect(id.dropFirst(14).first == "7")
    }
}
