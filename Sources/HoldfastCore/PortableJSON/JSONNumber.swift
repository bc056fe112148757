// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A JSON number that keeps the digits it was written with.
///
/// Numbers of other languages may exceed every Swift type, so the text is the value. Two numbers are equal when
/// their texts are equal: `1` and `1.0` differ.
package struct JSONNumber: Sendable, Hashable {
    /// The number as it stands in the document, a valid JSON number.
    package let text: String

    package init(_ value: some FixedWidthInteger & Sendable) {
        text = String(value)
    }

    /// Nil for NaN and the infinities, which JSON cannot express.
    package init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = value.description
    }

    /// Nil when `text` is not a number by the grammar of RFC 8259.
    package init?(text: String) {
        guard
            let document = try? JSONParser.document(of: text),
            document.nodes[0].kind.isNumber,
            document.nodes[0].start == 0,
            Int(document.nodes[0].extent) == text.utf8.count
        else { return nil }
        self.text = text
    }

    /// For the parser, which has checked the grammar.
    init(unchecked text: String) {
        self.text = text
    }

    /// The value when it is integral (`42`, `42.0`, `4.2e1`) and fits.
    package var asInt64: Int64? {
        JSONNumberText.integer(Array(text.utf8)[...])
    }

    /// The value when it is integral, not negative and fits.
    package var asUInt64: UInt64? {
        JSONNumberText.integer(Array(text.utf8)[...])
    }

    /// The nearest double; nil when the magnitude is too large for one.
    package var asDouble: Double? {
        JSONNumberText.double(Array(text.utf8)[...])
    }
}

/// Conversions from the text of a valid JSON number.
enum JSONNumberText {
    /// The exact value of an integral number, also one with a fraction of zeros or an exponent; nil when the number
    /// is not integral or does not fit.
    static func integer<T: FixedWidthInteger>(_ text: ArraySlice<UInt8>, as type: T.Type = T.self) -> T? {
        var value: T = 0
        var index = text.startIndex
        let isNegative = index < text.endIndex && text[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }
        while index < text.endIndex {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return scaledInteger(text, isNegative: isNegative) }
            guard append(digit, to: &value, isNegative: isNegative) else {
                // Too many digits so far, but a negative exponent can still make it small.
                return scaledInteger(text, isNegative: isNegative)
            }
            index += 1
        }
        return value
    }

    private static func append<T: FixedWidthInteger>(_ digit: UInt8, to value: inout T, isNegative: Bool) -> Bool {
        let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
        guard !overflow else { return false }
        // Negative numbers are built downwards, because the minimum has no positive counterpart.
        let (sum, sumOverflow) =
            isNegative
            ? scaled.subtractingReportingOverflow(T(digit))
            : scaled.addingReportingOverflow(T(digit))
        value = sum
        return !sumOverflow
    }

    /// The general case: significant digits without the point, and a power of ten.
    private static func scaledInteger<T: FixedWidthInteger>(_ text: ArraySlice<UInt8>, isNegative: Bool) -> T? {
        var parts = Parts(text)
        while parts.digits.last == 0 {
            parts.digits.removeLast()
            parts.exponent += 1
        }
        guard !parts.digits.isEmpty else { return 0 }
        guard parts.exponent >= 0, parts.exponent < 40 else { return nil }
        var value: T = 0
        for digit in parts.digits {
            guard append(digit, to: &value, isNegative: isNegative) else { return nil }
        }
        for _ in 0..<parts.exponent {
            guard append(0, to: &value, isNegative: isNegative) else { return nil }
        }
        return value
    }

    /// The nearest double, nil when the magnitude overflows.
    static func double(_ text: ArraySlice<UInt8>) -> Double? {
        if let value = shortDouble(text) { return value }
        guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else { return nil }
        return value
    }

    /// The nearest float, rounded once from the text and not by way of a double.
    static func float(_ text: ArraySlice<UInt8>) -> Float? {
        guard let value = Float(String(decoding: text, as: UTF8.self)), value.isFinite else { return nil }
        return value
    }

    /// Numbers of up to 15 digits without exponent: digits and power of ten are both exact doubles, so that one
    /// division rounds correctly (Clinger's fast path).
    private static func shortDouble(_ text: ArraySlice<UInt8>) -> Double? {
        guard text.count <= 17 else { return nil }
        var magnitude: UInt64 = 0
        var digits = 0
        var fractionDigits = 0
        var isNegative = false
        var isFraction = false
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            if digit <= 9 {
                magnitude = magnitude &* 10 &+ UInt64(digit)
                digits += 1
                if isFraction { fractionDigits += 1 }
            } else if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte == UInt8(ascii: "-") {
                isNegative = true
            } else {
                return nil
            }
        }
        guard digits <= 15 else { return nil }
        let value = Double(magnitude) / powersOfTen[fractionDigits]
        return isNegative ? -value : value
    }

    private static let powersOfTen: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ]

    /// The digits of a number with the leading zeros removed, and the power of ten that scales them.
    private struct Parts {
        var digits: [UInt8] = []
        var exponent = 0

        init(_ text: ArraySlice<UInt8>) {
            var isFraction = false
            var index = text.startIndex
            while index < text.endIndex {
                let byte = text[index]
                let digit = byte &- UInt8(ascii: "0")
                if digit <= 9 {
                    if digit != 0 || !digits.isEmpty { digits.append(digit) }
                    if isFraction { exponent -= 1 }
                } else if byte == UInt8(ascii: ".") {
                    isFraction = true
                } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
                    exponent += Self.exponent(text[(index + 1)...])
                    return
                }
                index += 1
            }
        }

        /// Clamped, so that a hostile exponent cannot overflow; the limit is far beyond every integer type, also
        /// for a number whose digits fill a whole document.
        private static func exponent(_ text: ArraySlice<UInt8>) -> Int {
            let limit = 1 << 40
            var value = 0
            for byte in text {
                let digit = byte &- UInt8(ascii: "0")
                if digit <= 9 { value = min(value * 10 + Int(digit), limit) }
            }
            return text.first == UInt8(ascii: "-") ? -value : value
        }
    }
}
