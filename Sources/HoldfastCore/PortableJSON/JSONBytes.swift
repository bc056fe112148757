// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Writing JSON scalars as bytes.
extension [UInt8] {
    static var comma: UInt8 { UInt8(ascii: ",") }
    static var colon: UInt8 { UInt8(ascii: ":") }
    static var quote: UInt8 { UInt8(ascii: "\"") }

    mutating func append(ascii text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a string in quotes, escaping no more than JSON demands; false when it contains U+0000, which is then
    /// written as an escape.
    @discardableResult
    mutating func append(quoted text: String) -> Bool {
        var text = text
        return text.withUTF8 { source in
            var isClean = true
            append(Self.quote)
            var start = 0
            while true {
                let end = source.endOfPlainText(from: start)
                append(contentsOf: UnsafeBufferPointer(rebasing: source[start..<end]))
                guard end < source.count else { break }
                append(escaped: source[end])
                if source[end] == 0 { isClean = false }
                start = end + 1
            }
            append(Self.quote)
            return isClean
        }
    }

    private mutating func append(escaped byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append(ascii: "\\\"")
        case UInt8(ascii: "\\"): append(ascii: "\\\\")
        case 0x0A: append(ascii: "\\n")
        case 0x0D: append(ascii: "\\r")
        case 0x09: append(ascii: "\\t")
        case 0x08: append(ascii: "\\b")
        case 0x0C: append(ascii: "\\f")
        default:
            append(ascii: byte < 0x10 ? "\\u000" : "\\u001")
            append(contentsOf: String(byte & 0x0F, radix: 16).utf8)
        }
    }

    mutating func append(digits value: some FixedWidthInteger) {
        guard let magnitude = UInt64(exactly: value.magnitude) else {
            append(contentsOf: String(value).utf8)
            return
        }
        if value < 0 { append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { buffer in
            var rest = magnitude
            var start = 20
            repeat {
                start -= 1
                buffer.initializeElement(at: start, to: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
                rest /= 10
            } while rest > 0
            append(contentsOf: UnsafeBufferPointer(rebasing: buffer[start..<20]))
        }
    }

    /// A number with a fixed count of digits, zeros in front.
    mutating func append(digits value: Int, width: Int) {
        var divisor = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    mutating func append(json value: JSONValue) {
        switch value {
        case .null: append(ascii: "null")
        case .bool(true): append(ascii: "true")
        case .bool(false): append(ascii: "false")
        case .number(let number): append(contentsOf: number.text.utf8)
        case .string(let text): append(quoted: text)
        case .array(let elements):
            append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { append(Self.comma) }
                append(json: element)
            }
            append(UInt8(ascii: "]"))
        case .object(let object):
            append(UInt8(ascii: "{"))
            for (index, member) in object.members.enumerated() {
                if index > 0 { append(Self.comma) }
                append(quoted: member.key)
                append(Self.colon)
                append(json: member.value)
            }
            append(UInt8(ascii: "}"))
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// The first byte that cannot stand in a JSON string as it is: a quote, a backslash, a control character; or the
    /// end. Looks at eight bytes at a time, as strings are most of what documents consist of.
    func endOfPlainText(from start: Int) -> Int {
        var index = start
        let bytes = UnsafeRawBufferPointer(self)
        while index + 8 <= count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let quotes = word ^ (Self.ones &* UInt64(UInt8(ascii: "\"")))
            let backslashes = word ^ (Self.ones &* UInt64(UInt8(ascii: "\\")))
            // A byte less than n sets its high bit here; one that is zero is less than 1.
            let found =
                ((word &- Self.ones &* 0x20) & ~word)
                | ((quotes &- Self.ones) & ~quotes)
                | ((backslashes &- Self.ones) & ~backslashes)
            guard found & (Self.ones &* 0x80) == 0 else { break }
            index += 8
        }
        while index < count, self[index] >= 0x20, self[index] != UInt8(ascii: "\""), self[index] != UInt8(ascii: "\\") {
            index += 1
        }
        return index
    }

    private static var ones: UInt64 { 0x0101_0101_0101_0101 }
}
