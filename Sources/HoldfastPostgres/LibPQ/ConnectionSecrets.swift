// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

/// The passwords of a connection string, to keep them out of messages.
struct ConnectionSecrets: Sendable {
    private let secrets: [String]

    /// Parses a connection string as libpq does, without connecting.
    init(_ connectionString: String) throws(PostgresError) {
        guard !connectionString.utf8.contains(0) else {
            throw PostgresError(.invalidConfiguration, "the connection string holds a NUL byte")
        }
        guard !Self.hasAmbiguousUser(connectionString) else {
            // libpq would take a part of the password for the host, and name it in its messages.
            throw PostgresError(
                .invalidConfiguration,
                "the connection URL holds more than one \"@\" before the path; write \"@\" in a password as \"%40\""
            )
        }
        var complaint: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(connectionString, &complaint) else {
            let text = trimmed(complaint)
            PQfreemem(complaint)
            throw PostgresError(.invalidConfiguration, Self.withoutQuotedText(text))
        }
        defer { PQconninfoFree(options) }
        var secrets: [String] = []
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val, ["password", "sslpassword"].contains(String(cString: keyword)) {
                secrets.append(String(cString: value))
            }
            option += 1
        }
        self.secrets = secrets.filter { $0.utf8.count >= 3 }
    }

    func redact(_ message: String) -> String {
        secrets.reduce(message) { message, secret in
            message.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
        }
    }

    private static func hasAmbiguousUser(_ text: String) -> Bool {
        guard let scheme = ["postgresql://", "postgres://"].first(where: { text.hasPrefix($0) }) else { return false }
        let authority = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
        return authority.count { $0 == "@" } > 1
    }

    /// A complaint about a string that cannot be parsed quotes a piece of it, and the piece may be of the password.
    static func withoutQuotedText(_ text: String) -> String {
        var result = ""
        for (index, piece) in text.split(separator: "\"", omittingEmptySubsequences: false).enumerated() {
            let isQuoted = !index.isMultiple(of: 2)
            result += isQuoted ? (piece.count <= 1 ? "\"\(piece)\"" : "\"***\"") : String(piece)
        }
        return result
    }
}
