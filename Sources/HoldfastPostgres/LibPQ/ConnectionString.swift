// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

/// A connection string, parsed as libpq does it: which hosts it names, and which secrets must stay out of messages.
struct ConnectionString: Sendable {
    /// What to set for each attempt, over what the string itself says.
    struct Attempt: Sendable, Equatable {
        var overrides: [String: String]
    }

    /// One attempt per host, so that each host gets the whole time-out: libpq's non-blocking calls have none of their
    /// own. A single attempt without overrides leaves the choice to libpq.
    let attempts: [Attempt]
    /// What `connect_timeout` says. libpq's non-blocking calls take no notice of it; 0 means forever there, and nothing here.
    let connectTimeout: Duration?
    private let secrets: [String]

    init(_ text: String) throws(PostgresError) {
        guard !text.utf8.contains(0) else {
            throw PostgresError(.invalidConfiguration, "the connection string holds a NUL byte")
        }
        guard !Self.hasAmbiguousUser(text) else {
            // libpq would take a part of the password for the host, and name it in its messages.
            throw PostgresError(
                .invalidConfiguration,
                "the connection URL holds more than one \"@\" before the path; write \"@\" in a password as \"%40\""
            )
        }
        let options = try Self.parse(text)
        attempts = Self.attempts(options)
        // libpq waits for at least two seconds, too: one may be almost over when it begins.
        let seconds = options["connect_timeout"].flatMap(Int64.init) ?? 0
        connectTimeout = seconds > 0 ? .seconds(max(2, seconds)) : nil
        let isSecret: (String) -> Bool = { ["password", "sslpassword"].contains($0) }
        let open = Set(options.filter { !isSecret($0.key) }.values)
        secrets = options.filter { isSecret($0.key) }.values.filter { $0.utf8.count >= 3 && !open.contains($0) }
    }

    /// Removes the passwords from a message.
    func redact(_ message: String) -> String {
        secrets.reduce(message) { message, secret in
            message.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
        }
    }

    private static func parse(_ text: String) throws(PostgresError) -> [String: String] {
        var complaint: UnsafeMutablePointer<CChar>?
        guard let first = PQconninfoParse(text, &complaint) else {
            let message = trimmed(complaint)
            PQfreemem(complaint)
            throw PostgresError(.invalidConfiguration, withoutQuotedText(message))
        }
        defer { PQconninfoFree(first) }
        var options: [String: String] = [:]
        var option = first
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { options[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return options
    }

    private static func attempts(_ options: [String: String]) -> [Attempt] {
        func list(_ keyword: String) -> [String] {
            options[keyword]?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
        }
        let hosts = list("host")
        let addresses = list("hostaddr")
        let ports = list("port")
        let count = max(hosts.count, addresses.count)
        // These two choose among the hosts, so libpq has to see them all.
        let choosesItself =
            options["target_session_attrs"] == "prefer-standby"
            || options["load_balance_hosts"].map { $0 != "disable" } ?? false
        let fits = [hosts, addresses, ports].allSatisfy { $0.count <= 1 || $0.count == count }
        guard count > 1, fits, !choosesItself else { return [Attempt(overrides: [:])] }
        return (0..<count).map { index in
            var overrides: [String: String] = [:]
            for (keyword, values) in [("host", hosts), ("hostaddr", addresses), ("port", ports)] where values.count > 1
            {
                overrides[keyword] = values[index]
            }
            return Attempt(overrides: overrides)
        }
    }

    private static func hasAmbiguousUser(_ text: String) -> Bool {
        guard let scheme = ["postgresql://", "postgres://"].first(where: { text.hasPrefix($0) }) else { return false }
        let authority = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
        return authority.count { $0 == "@" } > 1
    }

    /// A complaint about a string that cannot be parsed quotes a piece of it, and the piece may be of the password.
    private static func withoutQuotedText(_ text: String) -> String {
        var result = ""
        for (index, piece) in text.split(separator: "\"", omittingEmptySubsequences: false).enumerated() {
            let isQuoted = !index.isMultiple(of: 2)
            result += isQuoted ? (piece.count <= 1 ? "\"\(piece)\"" : "\"***\"") : String(piece)
        }
        return result
    }
}
