// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A document to print. Members have a place in it whether or not they have a value, so that scripts need not ask.
enum JSONText: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONText])
    case object([String: JSONText])
    case payload(PayloadText)

    init(_ text: String?) { self = text.map(JSONText.string) ?? .null }
    init(_ number: Int?) { self = number.map(JSONText.integer) ?? .null }
    init(_ date: Date?) { self = date.map { .string(TimeText.preciseInstant($0)) } ?? .null }
    init(_ identifier: (some TextIdentifier)?) { self.init(identifier?.rawValue) }

    /// To the millisecond, which is what the database keeps.
    init(seconds: Double?) {
        self = seconds.map { $0.isFinite ? .number(($0 * 1000).rounded() / 1000) : .null } ?? .null
    }

    /// The text with sorted keys, two blanks for each level.
    func rendered() -> String {
        var text = ""
        self.write(to: &text)
        return JSONLayout.indented(text)
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
        case .string(let value): Self.write(value, to: &text)
        case .payload(let value): text += value.text
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { text += "," }
                Self.write(member.key, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

enum JSONLayout {
    /// Lays JSON without blanks out over lines. Nothing but blanks is added, so that every number keeps its digits.
    static func indented(_ compact: String) -> String {
        var result: [UInt8] = []
        var depth = 0
        var isInString = false
        var isEscaped = false
        var last: UInt8 = 0
        func breakLine() {
            result.append(UInt8(ascii: "\n"))
            result.append(contentsOf: repeatElement(UInt8(ascii: " "), count: depth * 2))
        }
        for byte in compact.utf8 {
            let opened = !isInString && (last == UInt8(ascii: "{") || last == UInt8(ascii: "["))
            let closes = !isInString && (byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]"))
            if closes { depth -= 1 }
            if opened != closes { breakLine() }
            result.append(byte)
            if isInString {
                isInString = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: ","): breakLine()
                case UInt8(ascii: ":"): result.append(UInt8(ascii: " "))
                default: break
                }
            }
            last = isInString ? 0 : byte
        }
        return String(decoding: result, as: UTF8.self)
    }
}
