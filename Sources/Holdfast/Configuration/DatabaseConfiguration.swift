// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import HoldfastPostgres

/// Where the system database is.
public struct DatabaseConfiguration: Sendable {
    /// A Postgres URL or keyword/value string, as libpq takes it; several hosts are allowed.
    public var url: String
    /// A way past a connection pooler, for the lease session and notifications. Default: `url`, unless
    /// ``isPooled`` is set.
    public var directURL: String?
    /// Whether `url` leads to a pooler in transaction mode, such as PgBouncer: then no statement is prepared, and without a
    /// `directURL` there is neither a lease session nor a notification. Default: false.
    public var isPooled: Bool
    /// The schema of the shared data model. Default: `dbos`.
    public var schema: String
    /// The schema of Holdfast's own tables. Default: `holdfast`.
    public var ownSchema: String
    /// How many connections are opened at most. Default: 8.
    public var poolSize: Int
    /// How long one host may take to accept a connection before the next one is tried. Default: 10 s. `connect_timeout` in the
    /// URL wins.
    public var connectTimeout: Duration = .seconds(10)
    /// How long the network may be silent before a connection counts as lost, on both of its ends.
    var silenceLimit: Duration = .seconds(10)
    /// By what a test cuts and freezes the connections.
    package var wires: Wires?

    /// Makes a configuration.
    public init(
        url: String,
        directURL: String? = nil,
        isPooled: Bool = false,
        schema: String = "dbos",
        ownSchema: String = "holdfast",
        poolSize: Int = 8
    ) {
        self.url = url
        self.directURL = directURL
        self.isPooled = isPooled
        self.schema = schema
        self.ownSchema = ownSchema
        self.poolSize = poolSize
    }

    func validate() throws(HoldfastError) {
        guard !self.url.allSatisfy(\.isWhitespace) else {
            throw HoldfastError(
                .invalidConfiguration,
                "the database URL is blank; give a URL such as postgresql://host/name"
            )
        }
        guard self.poolSize >= 2 else {
            throw HoldfastError(.invalidConfiguration, "poolSize is \(self.poolSize); it must be 2 or more")
        }
        guard self.connectTimeout > .zero else {
            throw HoldfastError(.invalidConfiguration, "connectTimeout is \(self.connectTimeout); it must be positive")
        }
        guard self.schema != self.ownSchema else {
            throw HoldfastError(
                .invalidConfiguration,
                "schema and ownSchema are both '\(self.schema)'; Holdfast's own tables need a schema of their own"
            )
        }
    }

    func names() throws(HoldfastError) -> SchemaNames {
        do { return try SchemaNames(dbos: self.schema, holdfast: self.ownSchema) } catch {
            throw HoldfastError(.invalidConfiguration, "\(error)", underlying: error)
        }
    }

    /// The connections for statements.
    func statements(applicationName: String) -> PostgresConfiguration {
        var configuration = PostgresConfiguration(self.url, applicationName: applicationName)
        configuration.connectTimeout = self.connectTimeout
        configuration.silenceLimit = self.silenceLimit
        configuration.serverSilenceLimit = self.isPooled ? nil : self.silenceLimit
        configuration.preparesStatements = !self.isPooled
        configuration.wires = self.wires
        return configuration
    }

    /// The connection for the lease session and notifications; `nil` when there is no way to have one.
    ///
    /// - Parameter lease: The lease that the session is about. The server keeps the session for longer, however silent it is: peers
    ///   take its end for a death, and who is merely cut off has until the lease is over to stop itself.
    func session(applicationName: String, lease: Duration = .zero) -> PostgresConfiguration? {
        guard let url = self.directURL ?? (self.isPooled ? nil : self.url) else { return nil }
        var configuration = PostgresConfiguration(url, applicationName: applicationName)
        configuration.connectTimeout = self.connectTimeout
        configuration.silenceLimit = self.silenceLimit
        configuration.wires = self.wires
        // The limit counts in whole seconds.
        configuration.serverSilenceLimit = max(self.silenceLimit, lease + .seconds(2))
        return configuration
    }
}
