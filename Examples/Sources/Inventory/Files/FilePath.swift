// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

/// A path as the kernel sees it: bytes, of which only 0 and `/` have a meaning.
///
/// In JSON it is a string when it is UTF-8, and otherwise `{"base64": "…"}`, so that no name is changed.
struct FilePath: Hashable, Sendable {
    let bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    init(_ text: String) { self.init(text.utf8) }

    /// Calls `body` with the path as the kernel takes it.
    func withCString<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
        try (self.bytes + [0]).withUnsafeBytes { bytes in
            try body(bytes.baseAddress!.assumingMemoryBound(to: CChar.self))
        }
    }

    func appending(_ name: UnsafeRawBufferPointer) -> FilePath {
        FilePath(self.bytes.last == UInt8(ascii: "/") ? self.bytes + name : self.bytes + [UInt8(ascii: "/")] + name)
    }
}

extension FilePath: CustomStringConvertible {
    /// For messages: control characters are written as escapes, and what is not UTF-8 as U+FFFD.
    var description: String {
        var text = ""
        for scalar in String(decoding: self.bytes, as: UTF8.self).unicodeScalars {
            text += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return text
    }
}

extension FilePath: Comparable {
    static func < (lhs: FilePath, rhs: FilePath) -> Bool {
        lhs.bytes.withUnsafeBytes { left in
            rhs.bytes.withUnsafeBytes { right in
                guard let a = left.baseAddress, let b = right.baseAddress else { return left.count < right.count }
                let order = memcmp(a, b, min(left.count, right.count))
                return order == 0 ? left.count < right.count : order < 0
            }
        }
    }
}

extension FilePath: Codable {
    private enum CodingKeys: String, CodingKey { case base64 }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            self.init(text)
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard let data = Data(base64Encoded: try container.decode(String.self, forKey: .base64)) else {
            throw DecodingError.dataCorruptedError(forKey: .base64, in: container, debugDescription: "not base64")
        }
        self.init(data)
    }

    func encode(to encoder: any Encoder) throws {
        if let text = String(validating: self.bytes, as: UTF8.self) {
            var container = encoder.singleValueContainer()
            try container.encode(text)
        } else {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(Data(self.bytes).base64EncodedString(), forKey: .base64)
        }
    }
}
