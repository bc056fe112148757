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
            for index in source.indices {
                let byte = source[index]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
                append(contentsOf: UnsafeBufferPointer(rebasing: source[start..<index]))
                append(escaped: byte)
                if byte == 0 { isClean = false }
                start = index + 1
            }
            append(contentsOf: UnsafeBufferPointer(rebasing: source[start...]))
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
