// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A value that could not be written as, or read from, portable JSON.
package struct PortableJSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    package enum Kind: Sendable, Hashable {
        /// The text is not JSON; `byteOffset` says where.
        case invalidJSON
        /// An object lacks a member that the type requires.
        case missingField
        /// The JSON value is of another kind than the type expects.
        case typeMismatch
        /// The JSON value is of the right kind but not acceptable: out of range, not a date, refused by the type.
        case invalidValue
        /// The Swift value has no portable form, or its type refused to be encoded.
        case unencodable
    }

    package var kind: Kind
    /// Where in the value, such as `order.lines[3].price`; empty for the value as a whole.
    package var path: String
    /// What was expected and what was found.
    package var message: String
    /// Where in the text, in bytes of its UTF-8 form; only for text that is not JSON.
    package var byteOffset: Int?

    package init(kind: Kind, path: String = "", message: String, byteOffset: Int? = nil) {
        self.kind = kind
        self.path = path
        self.message = message
        self.byteOffset = byteOffset
    }

    package var description: String {
        let place = byteOffset.map { "invalid JSON at byte \($0): " } ?? (path.isEmpty ? "" : "\(path): ")
        return place + message
    }
}

extension PortableJSONError {
    /// The error of a `Decodable` type. `outer` is where the innermost decoding value stands: it gives errors
    /// without a path of their own a place.
    init(decoding error: any Error, at outer: [any CodingKey]) {
        guard let error = error as? DecodingError else {
            self = error as? PortableJSONError ?? Self(custom: error, kind: .invalidValue, at: outer)
            return
        }
        switch error {
        case .keyNotFound(let key, let context):
            let path = Self.place(context.codingPath, in: outer) + [key]
            self.init(kind: .missingField, path: Self.text(of: path), message: "required, but missing")
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            let path = Self.place(context.codingPath, in: outer)
            self.init(kind: .typeMismatch, path: Self.text(of: path), message: context.debugDescription)
        case .dataCorrupted(let context):
            let path = Self.place(context.codingPath, in: outer)
            self.init(kind: .invalidValue, path: Self.text(of: path), message: context.debugDescription)
        @unknown default:
            self.init(custom: error, kind: .invalidValue, at: outer)
        }
    }

    /// The error of an `Encodable` type.
    init(encoding error: any Error, at outer: [any CodingKey]) {
        guard let error = error as? EncodingError, case .invalidValue(_, let context) = error else {
            self = error as? PortableJSONError ?? Self(custom: error, kind: .unencodable, at: outer)
            return
        }
        let path = Self.place(context.codingPath, in: outer)
        self.init(kind: .unencodable, path: Self.text(of: path), message: context.debugDescription)
    }

    private init(custom error: any Error, kind: Kind, at path: [any CodingKey]) {
        self.init(kind: kind, path: Self.text(of: path), message: String(describing: error))
    }

    /// A path that does not start at the root, because the type wrote its own or used another decoder inside, is
    /// taken as relative to the value that threw.
    private static func place(_ path: [any CodingKey], in outer: [any CodingKey]) -> [any CodingKey] {
        if path.isEmpty { return outer }
        let isOnTheWay = zip(path, outer).allSatisfy { $0.stringValue == $1.stringValue }
        return isOnTheWay ? path : outer + path
    }

    /// `order.lines[3].price`; names that are not plain words are quoted: `prices["a.b"]`.
    static func text(of path: [any CodingKey]) -> String {
        var text = ""
        for key in path {
            if let key = key as? JSONIndexKey {
                text += "[\(key.index)]"
            } else if isPlain(key.stringValue) {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            } else {
                text += "[\(PortableJSON.text(of: .string(key.stringValue)))]"
            }
        }
        return text
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), 0x80...:
                    true
                default:
                    false
                }
            }
    }
}
