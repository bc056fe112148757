// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Time-ordered UUIDs (version 7): new rows go to the right edge of the primary key's index.
package enum TimeOrderedID {
    package static func make(milliseconds: Int64, using generator: inout some RandomNumberGenerator) -> String {
        var high = UInt64(bitPattern: milliseconds) << 16
        high |= 0x7000 | UInt64(UInt16.random(in: 0...0x0fff, using: &generator))
        var low = UInt64.random(in: .min ... .max, using: &generator)
        low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000
        let digits = Array((high.hexadecimal + low.hexadecimal).utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (index, digit) in digits.enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 { text.append(UInt8(ascii: "-")) }
            text.append(digit)
        }
        return String(decoding: text, as: UTF8.self)
    }

    package static func make(milliseconds: Int64) -> String {
        var generator = SystemRandomNumberGenerator()
        return self.make(milliseconds: milliseconds, using: &generator)
    }
}
