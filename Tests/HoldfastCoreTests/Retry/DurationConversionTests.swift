// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("Durations as numbers")
struct DurationConversionTests {
    private static let seconds: [(Duration, Double)] = [
        (.zero, 0), (.seconds(3), 3), (.milliseconds(1500), 1.5), (.milliseconds(-1500), -1.5),
        (.milliseconds(-1), -0.001), (.microseconds(250), 0.00025),
        (.seconds(Int64.max), 0x1p63), (.seconds(Int64.min), -0x1p63),
    ]

    private static let milliseconds: [(Duration, Int64)] = [
        (.zero, 0), (.seconds(3), 3000), (.milliseconds(1), 1), (.milliseconds(1500), 1500),
        (.microseconds(1999), 1), (.microseconds(999), 0), (.milliseconds(-1), -1), (.milliseconds(-1500), -1500),
        (.microseconds(-999), 0), (.microseconds(-1999), -1), (.seconds(-3), -3000),
        (.seconds(Int64.max / 1000), 9_223_372_036_854_775_000),
        (.seconds(Int64.min / 1000), -9_223_372_036_854_775_000),
    ]

    @Test("Seconds", arguments: seconds)
    func inSeconds(duration: Duration, expected: Double) {
        #expect(duration.inSeconds == expected)
    }

    @Test("Milliseconds are cut off towards zero", arguments: milliseconds)
    func inMilliseconds(duration: Duration, expected: Int64) {
        #expect(duration.inMilliseconds == expected)
    }

    @Test("Milliseconds that no number holds are the largest or the smallest")
    func overflow() {
        #expect(Duration.seconds(Int64.max).inMilliseconds == .max)
        #expect(Duration.seconds(Int64.min).inMilliseconds == .min)
        #expect((Duration.seconds(Int64.max / 1000) + .seconds(1)).inMilliseconds == .max)
        #expect((Duration.seconds(Int64.min / 1000) - .seconds(1)).inMilliseconds == .min)
        #expect((Duration.seconds(Int64.max / 1000) + .milliseconds(807)).inMilliseconds == .max)
        #expect((Duration.seconds(Int64.max / 1000) + .milliseconds(806)).inMilliseconds == .max - 1)
        #expect((Duration.seconds(Int64.max / 1000) + .milliseconds(808)).inMilliseconds == .max)
    }
}
