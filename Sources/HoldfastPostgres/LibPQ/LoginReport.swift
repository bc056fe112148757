// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A verbose libpq message of a failed login, taken apart.
///
/// `connection to server at "db", port 5432 failed: FATAL:  28P01: password authentication failed for user "app"`
/// followed by a line `LOCATION:  auth_failed, auth.c:335`. The words may be translated, the code is not.
struct LoginReport: Equatable {
    var message: String
    var sqlState: String?

    init(_ text: String) {
        var lines: [String] = []
        var sqlState: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop(while: \.isWhitespace)
            guard !line.hasPrefix("LOCATION:  ") else { continue }
            let (text, state) = Self.split(line)
            lines.append(text)
            sqlState = state ?? sqlState
        }
        message = lines.joined(separator: "; ")
        self.sqlState = sqlState
    }

    /// Cuts `28P01: ` out of `…FATAL:  28P01: …`.
    private static func split(_ line: Substring) -> (text: String, sqlState: String?) {
        let bytes = Array(line.utf8)
        let marker = Array(":  ".utf8)
        let codeLength = 5
        for start in bytes.indices.dropLast(marker.count + codeLength + 1)
        where bytes[start...].starts(with: marker) {
            let codeStart = start + marker.count
            let codeEnd = codeStart + codeLength
            let code = bytes[codeStart..<codeEnd]
            guard code.allSatisfy(isStateByte), bytes[codeEnd...].starts(with: ": ".utf8) else { continue }
            let text = String(decoding: bytes[..<codeStart] + bytes[(codeEnd + 2)...], as: UTF8.self)
            return (text, String(decoding: code, as: UTF8.self))
        }
        return (String(line), nil)
    }

    private static func isStateByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}
