// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

extension PostgresConfiguration {
    /// The database that the connection string names, or else the environment, or else the user's own; `nil` when only
    /// libpq can tell, because it stands in a service file.
    package func databaseName() throws(PostgresError) -> String? {
        let named = try options()
        if let name = named["dbname"] { return name }
        guard named["service"] == nil else { return nil }
        let defaults = Self.values(of: PQconndefaults())
        return defaults["dbname"] ?? named["user"] ?? defaults["user"]
    }

    /// The same server and login, but another database.
    package func connecting(toDatabase name: String) throws(PostgresError) -> PostgresConfiguration {
        var named = try options()
        named["dbname"] = name
        var configuration = self
        // As keywords and values: in a URL the database may stand in two places.
        configuration.connectionString = named.sorted { $0.key < $1.key }
            .map { "\($0.key)=\(Self.quoted($0.value))" }
            .joined(separator: " ")
        return configuration
    }

    /// What the connection string says, as libpq understands it.
    private func options() throws(PostgresError) -> [String: String] {
        guard let options = PQconninfoParse(connectionString, nil) else {
            // Without libpq's complaint, which may quote a piece of the password.
            throw PostgresError(.invalidConfiguration, "the connection string cannot be understood")
        }
        return Self.values(of: options)
    }

    private static func values(of options: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String] {
        guard let options else { return [:] }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }

    private static func quoted(_ value: String) -> String {
        var result = "'"
        for character in value.unicodeScalars {
            if character == "'" || character == "\\" { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(character)
        }
        return result + "'"
    }
}
