// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastPostgres
import Logging
import TestSupport
import Testing

@testable import Holdfast

/// A database of one test's own. Migrations concern whole databases, so a schema would not do.
struct ScratchDatabase {
    let name: String
    /// For the migrator; through a pooler, if there is one.
    let configuration: PostgresConfiguration
    /// Always direct: the tests lock, set and prepare.
    let connection: PostgresConnection

    static let silentLogger = Logger(label: "holdfast.tests") { _ in SwiftLogNoOpLogHandler() }

    static func serverConfiguration() -> PostgresConfiguration {
        var configuration = PostgresConfiguration(TestServer.url, applicationName: "holdfast-tests")
        if TestServer.isPooled { configuration.serverSilenceLimit = nil }
        return configuration
    }

    /// Past the pooler.
    static func directConfiguration() -> PostgresConfiguration {
        PostgresConfiguration(TestServer.directURL ?? TestServer.url, applicationName: "holdfast-tests")
    }

    static func uniqueName(_ prefix: String) -> String { "\(prefix)_\(UInt64.random(in: .min ... .max))" }

    /// Runs `body` with a new database, filled from a fixture file if one is named, and drops it afterwards.
    static func with(fixture: String? = nil, _ body: (ScratchDatabase) async throws -> Void) async throws {
        try await withName { name in
            try await onServer { _ = try await $0.execute(PostgresQuery("CREATE DATABASE \(name)")) }
            let direct = try directConfiguration().connecting(toDatabase: name)
            if let fixture {
                // pg_dump empties the session's search path; a session of its own keeps that from the test.
                let loader = try await PostgresConnection.connect(direct, logger: silentLogger)
                try await loader.executeScript(Fixture.text(fixture))
                await loader.close()
            }
            let connection = try await PostgresConnection.connect(direct, logger: silentLogger)
            let configuration = try serverConfiguration().connecting(toDatabase: name)
            do {
                try await body(ScratchDatabase(name: name, configuration: configuration, connection: connection))
                await connection.close()
            } catch {
                await connection.close()
                throw error
            }
        }
    }

    private static let turnstile = Turnstile(3)

    /// Runs `body` with a name for a database, and drops whatever bears it afterwards.
    static func withName(_ body: (String) async throws -> Void) async throws {
        await turnstile.enter()
        let result: Result<Void, any Error>
        do { result = .success(try await withNameAtOnce(body)) } catch { result = .failure(error) }
        await turnstile.leave()
        try result.get()
    }

    private static func withNameAtOnce(_ body: (String) async throws -> Void) async throws {
        let name = uniqueName("holdfast_migrations")
        let drop = PostgresQuery("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        do {
            try await body(name)
        } catch {
            try? await onServer { _ = try await $0.execute(drop) }
            throw error
        }
        try await onServer { _ = try await $0.execute(drop) }
    }

    static func onServer<Value>(_ body: (PostgresConnection) async throws -> Value) async throws -> Value {
        let connection = try await PostgresConnection.connect(directConfiguration(), logger: silentLogger)
        return try await body(connection)
    }

    /// Runs `body` with a role without any privileges, and drops the role afterwards.
    static func withRole(_ body: (String) async throws -> Void) async throws {
        let role = uniqueName("holdfast_role")
        try await onServer { _ = try await $0.execute(PostgresQuery("CREATE ROLE \(role) LOGIN PASSWORD 'role'")) }
        do {
            try await body(role)
        } catch {
            try? await onServer { _ = try await $0.execute(PostgresQuery("DROP ROLE \(role)")) }
            throw error
        }
        try await onServer { _ = try await $0.execute(PostgresQuery("DROP ROLE \(role)")) }
    }

    func connect() async throws -> PostgresConnection {
        let direct = try Self.directConfiguration().connecting(toDatabase: self.name)
        return try await PostgresConnection.connect(direct, logger: Self.silentLogger)
    }

    func migrator(
        names: SchemaNames = .standard,
        logger: Logger = ScratchDatabase.silentLogger
    ) -> Migrator {
        var migrator = Migrator(configuration: configuration, names: names, logger: logger)
        migrator.timing.retryInterval = .milliseconds(10)
        migrator.timing.firstRetryInterval = .milliseconds(10)
        return migrator
    }

    @discardableResult
    func execute(_ sql: String, _ bindings: [PostgresBinding] = []) async throws -> PostgresResult {
        try await connection.execute(PostgresQuery(sql, bindings))
    }

    /// What the schema holds, as the fixture script lists it.
    func catalog(of schema: String = "dbos") async throws -> [String] {
        try await execute("SELECT set_config('holdfast.schema', $1, false)", [.text(schema)])
        return try await execute(Fixture.text("dbos-catalog.sql")).map { try $0.string(0) }
    }

    func recordedVersions(of schema: String = "dbos") async throws -> [Int] {
        try await execute("SELECT version FROM \(SQLText.identifier(schema)).dbos_migrations").map { try $0.int(0) }
    }
}

extension PostgresConfiguration {
    /// The same database, but another role.
    func connecting(as role: String) -> PostgresConfiguration {
        var configuration = self
        // The last mention of a keyword counts.
        configuration.connectionString += " user=\(role) password=role"
        return configuration
    }
}

/// Files beside the tests.
enum Fixture {
    static func text(_ name: String) throws -> String {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: folder.appending(components: "Fixtures", name), encoding: .utf8)
    }

    /// What dbos 3.4.0 creates.
    static func dbosCatalog() throws -> [String] {
        try text("dbos-level-125-catalog.txt").split(separator: "\n").map(String.init)
    }
}

/// Calls `body`, which must throw a `MigrationError`.
func migrationError(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async throws -> MigrationError {
    try #require(await #expect(throws: MigrationError.self, sourceLocation: sourceLocation) { try await body() })
}
