// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension JSONSink {
    /// Writes values whose JSON form does not come from their own `encode(to:)`: the primitives, which end here, and
    /// the types for which the format has its own rules. False for all others.
    @inline(__always)
    func appendKnown<T: Encodable>(_ value: T, depth: Int) throws -> Bool {
        if let value = exactly(value, as: String.self) {
            try appendText(value)
        } else if let value = exactly(value, as: Int.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: Double.self) {
            guard value.isFinite else { throw JSONRefusal.notFinite("\(value)") }
            bytes.append(contentsOf: value.description.utf8)
        } else if let value = exactly(value, as: Bool.self) {
            bytes.append(ascii: value ? "true" : "false")
        } else {
            return try appendOtherKnown(value, depth: depth)
        }
        return true
    }

    /// Not inlined, to keep its locals out of the stack frames of nested values.
    @inline(never)
    private func appendOtherKnown<T: Encodable>(_ value: T, depth: Int) throws -> Bool {
        if let value = exactly(value, as: Int64.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: Int32.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: Int16.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: Int8.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: UInt.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: UInt64.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: UInt32.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: UInt16.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: UInt8.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: Int128.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: UInt128.self) {
            bytes.append(digits: value)
        } else if let value = exactly(value, as: Float.self) {
            guard value.isFinite else { throw JSONRefusal.notFinite("\(value)") }
            bytes.append(contentsOf: value.description.utf8)
        } else {
            return try appendFoundation(value) || appendValue(value, depth: depth)
        }
        return true
    }

    private func appendFoundation<T: Encodable>(_ value: T) throws -> Bool {
        if let value = exactly(value, as: Date.self) {
            guard let text = PortableDate.text(of: value) else { throw JSONRefusal.dateRange }
            try appendText(text)
        } else if let value = exactly(value, as: Decimal.self) {
            guard value.isFinite else { throw JSONRefusal.notFinite("\(value)") }
            try appendText(value.description)
        } else if let value = exactly(value, as: Data.self) {
            try appendText(value.base64EncodedString())
        } else if let value = exactly(value, as: UUID.self) {
            try appendText(value.uuidString.lowercased())
        } else if let value = exactly(value, as: URL.self) {
            try appendText(value.absoluteString)
        } else {
            return false
        }
        return true
    }

    private func appendText(_ text: String) throws {
        guard bytes.append(quoted: text) else { throw JSONRefusal.zeroCharacter }
    }

    private func appendValue<T: Encodable>(_ value: T, depth: Int) throws -> Bool {
        guard let value = exactly(value, as: JSONValue.self) else { return false }
        try value.requirePortable(depth: depth)
        bytes.append(json: value)
        return true
    }
}

extension JSONValue {
    /// Parsed values may hold what must not be written: U+0000, and too many levels when one is put into another.
    fileprivate func requirePortable(depth: Int) throws(JSONRefusal) {
        switch self {
        case .null, .bool, .number:
            break
        case .string(let text):
            guard !text.utf8.contains(0) else { throw .zeroCharacter }
        case .array(let elements):
            guard depth < JSONParser.maximumDepth else { throw .depth }
            for element in elements { try element.requirePortable(depth: depth + 1) }
        case .object(let object):
            guard depth < JSONParser.maximumDepth else { throw .depth }
            for member in object.members {
                guard !member.key.utf8.contains(0) else { throw .zeroCharacter }
                try member.value.requirePortable(depth: depth + 1)
            }
        }
    }
}

/// The value as another type if it has exactly that type.
///
/// A cast with `as?` costs more than writing a number does, and in unspecialized code nothing removes it.
@inline(__always)
func exactly<T, U>(_ value: T, as type: U.Type) -> U? {
    T.self == U.self ? unsafeBitCast(value, to: U.self) : nil
}

/// Why a value cannot be written; becomes an `EncodingError` where its path is known.
enum JSONRefusal: Error, CustomStringConvertible {
    case zeroCharacter
    case notFinite(String)
    case dateRange
    case depth
    case secondValue
    case staleContainer

    var description: String {
        switch self {
        case .zeroCharacter: "contains U+0000, which Postgres cannot store in text"
        case .notFinite(let value): "\(value) has no JSON form"
        case .dateRange: "date is not within the years 0 to 9999"
        case .depth: "nested deeper than \(JSONParser.maximumDepth) levels"
        case .secondValue: "second value written where one is allowed"
        case .staleContainer: "container used after its value was complete, or of another kind than its value"
        }
    }
}
