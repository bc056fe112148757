// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A generator with a seed, so that a failure can be repeated: SplitMix64.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// A number from 0 up to, but without, `bound`.
    package mutating func below(_ bound: Int) -> Int { Int(self.next() >> 1) % bound }

    /// A number of the range.
    package mutating func pick(_ range: ClosedRange<Int>) -> Int { range.lowerBound + self.below(range.count) }

    /// Whether something happens that happens so often in a hundred times.
    package mutating func chance(_ percent: Int) -> Bool { self.below(100) < percent }
}
