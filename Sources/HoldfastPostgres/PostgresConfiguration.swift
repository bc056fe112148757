// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How to reach a database.
package struct PostgresConfiguration: Sendable {
    /// A URL or keyword/value string as libpq takes it; several hosts are allowed.
    ///
    /// What it says wins over the other properties of this value, except the client encoding, which is always UTF-8.
    package var connectionString: String

    /// The name shown in `pg_stat_activity` unless the connection string gives one.
    package var applicationName: String

    /// How long one host may take to accept, encrypt and authenticate before the next one is tried. `connect_timeout` in the
    /// connection string wins.
    package var connectTimeout: Duration = .seconds(10)

    /// How long the server may be silent, so that not even its kernel answers, before the connection counts as lost here.
    package var silenceLimit: Duration = .seconds(10)

    /// How long this end may be silent before the server ends the session, with its transaction and locks. `nil` leaves the
    /// session as it is, also its isolation level, which is otherwise read committed whatever the role or the database says:
    /// behind PgBouncer in transaction mode it belongs to somebody else a moment later.
    package var serverSilenceLimit: Duration? = .seconds(10)

    /// Whether statements are prepared once per connection and run by name.
    ///
    /// `false` sends unnamed statements, which is what PgBouncer in transaction mode needs.
    package var preparesStatements: Bool = true

    /// How many prepared statements a connection remembers before it forgets the least recently used one.
    package var preparedStatementLimit: Int = 256

    /// By what a test cuts and freezes the connections.
    package var wires: Wires?

    package init(_ connectionString: String, applicationName: String = "holdfast") {
        self.connectionString = connectionString
        self.applicationName = applicationName
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    // The connection string may hold a password, and values like this one end up in logs.
    package var description: String { "PostgresConfiguration(applicationName: \(applicationName))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["applicationName": applicationName]) }
}
