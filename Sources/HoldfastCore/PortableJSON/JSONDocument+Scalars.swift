// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension JSONDocument {
    /// The bytes of a scalar as written, without quotes.
    func slice(at index: Int32) -> ArraySlice<UInt8> {
        let node = nodes[Int(index)]
        return bytes[Int(node.start)..<Int(node.extent)]
    }

    /// The text of a node that is known to be a string.
    func string(at index: Int32) -> String {
        let node = nodes[Int(index)]
        if node.kind == .string {
            let range = Int(node.start)..<Int(node.extent)
            return bytes.withUnsafeBufferPointer {
                String(decoding: UnsafeBufferPointer(rebasing: $0[range]), as: UTF8.self)
            }
        }
        return String(decoding: unescaped(slice(at: index)), as: UTF8.self)
    }

    /// The parser has checked every escape, so that nothing can be missing here.
    private func unescaped(_ source: ArraySlice<UInt8>) -> [UInt8] {
        var target: [UInt8] = []
        target.reserveCapacity(source.count)
        var index = source.startIndex
        while index < source.endIndex {
            let byte = source[index]
            guard byte == UInt8(ascii: "\\") else {
                target.append(byte)
                index += 1
                continue
            }
            let escape = source[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "n"): target.append(0x0A)
            case UInt8(ascii: "t"): target.append(0x09)
            case UInt8(ascii: "r"): target.append(0x0D)
            case UInt8(ascii: "b"): target.append(0x08)
            case UInt8(ascii: "f"): target.append(0x0C)
            case UInt8(ascii: "u"):
                var code = hexadecimal(source[index..<index + 4])
                index += 4
                if (0xD800..<0xDC00).contains(code) {
                    let low = hexadecimal(source[index + 2..<index + 6])
                    code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
                    index += 6
                }
                if let scalar = Unicode.Scalar(code) { target.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
            default: target.append(escape)
            }
        }
        return target
    }

    private func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt32 {
        digits.reduce(0) { $0 << 4 | UInt32(hexadecimalValue(of: $1) ?? 0) }
    }
}

// MARK: - Typed reads

extension JSONDocument {
    func readBool(at index: Int32) throws -> Bool {
        switch kind(at: index) {
        case .true: return true
        case .false: return false
        default: throw mismatch(Bool.self, "a boolean", at: index)
        }
    }

    func readString(at index: Int32) throws -> String {
        switch kind(at: index) {
        case .string, .escapedString: return string(at: index)
        default: throw mismatch(String.self, "a string", at: index)
        }
    }

    func readInteger<T: FixedWidthInteger>(_ type: T.Type, at index: Int32) throws -> T {
        guard kind(at: index).isNumber else { throw mismatch(type, "an integer (\(type))", at: index) }
        guard let value = JSONNumberText.integer(slice(at: index), as: type) else {
            throw corrupted("number \(numberText(at: index)) is not integral or does not fit in \(type)", at: index)
        }
        return value
    }

    func readDouble(at index: Int32) throws -> Double {
        guard kind(at: index).isNumber else { throw mismatch(Double.self, "a number", at: index) }
        guard let value = JSONNumberText.double(slice(at: index)) else {
            throw corrupted("number \(numberText(at: index)) does not fit in Double", at: index)
        }
        return value
    }

    func readFloat(at index: Int32) throws -> Float {
        guard kind(at: index).isNumber else { throw mismatch(Float.self, "a number", at: index) }
        guard let value = JSONNumberText.float(slice(at: index)) else {
            throw corrupted("number \(numberText(at: index)) does not fit in Float", at: index)
        }
        return value
    }

    /// Shortened: a hostile number can be as long as the document.
    func numberText(at index: Int32) -> String {
        let text = slice(at: index)
        return String(decoding: text.prefix(40), as: UTF8.self) + (text.count > 40 ? "…" : "")
    }

    /// Contents of strings stay out of messages, because messages end in logs.
    func mismatch(_ type: Any.Type, _ expected: String, at index: Int32) -> DecodingError {
        noteOwnFailure(at: index)
        let found =
            switch kind(at: index) {
            case .null: "null"
            case .true, .false: "a boolean"
            case .integer, .number: "number \(numberText(at: index))"
            case .string, .escapedString: "a string"
            case .array: "an array"
            case .object: "an object"
            }
        let context = DecodingError.Context(
            codingPath: path(to: index),
            debugDescription: "expected \(expected), found \(found)"
        )
        return kind(at: index) == .null ? .valueNotFound(type, context) : .typeMismatch(type, context)
    }

    func corrupted(_ description: String, at index: Int32) -> DecodingError {
        noteOwnFailure(at: index)
        return .dataCorrupted(DecodingError.Context(codingPath: path(to: index), debugDescription: description))
    }
}

func hexadecimalValue(of byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
