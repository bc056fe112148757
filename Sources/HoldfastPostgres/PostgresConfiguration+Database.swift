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
        configuration.connectionString = Self.text(of: named)
        return configuration
    }

    /// The host and port that a connection goes to: an address or name, or the folder of a Unix socket. `nil` when there are
    /// several, or when only libpq can tell.
    package func endpoint() throws(PostgresError) -> (host: String, port: UInt16)? {
        let named = try options()
        let defaults = Self.values(of: PQconndefaults())
        guard named["service"] == nil, let host = named["hostaddr"] ?? named["host"] ?? defaults["host"],
            let port = UInt16(named["port"] ?? defaults["port"] ?? "5432"), !host.contains(",")
        else { return nil }
        return (host, port)
    }

    /// The same server and login by way of another address. Certificates are compared with the name of the host as before.
    package func connecting(through address: String, port: UInt16) throws(PostgresError) -> PostgresConfiguration {
        var named = try options()
        named["hostaddr"] = address
        named["port"] = String(port)
        var configuration = self
        configuration.connectionString = Self.text(of: named)
        return configuration
    }

    /// The same, known to the server by this name, also where the connection string gives another one.
    package func connecting(asApplication name: String) throws(PostgresError) -> PostgresConfiguration {
        var named = try options()
        named["application_name"] = name
        var configuration = self
        configuration.connectionString = Self.text(of: named)
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

    private static func text(of options: [String: String]) -> String {
        options.sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.quoted($0.value))" }.joined(separator: " ")
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
