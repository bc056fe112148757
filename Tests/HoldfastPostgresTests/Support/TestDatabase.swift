// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Logging
import TestSupport
import Testing

@testable import HoldfastPostgres

/// The server all tests share that do not need one of their own.
enum TestDatabase {
    static func configuration() -> PostgresConfiguration {
        var configuration = PostgresConfiguration(TestServer.url, applicationName: "holdfast-tests")
        if TestServer.isPooled {
            configuration.preparesStatements = false
            configuration.serverSilenceLimit = nil
        }
        return configuration
    }

    static let logger = Logger(label: "holdfast.tests") { _ in SwiftLogNoOpLogHandler() }

    static func connect(
        _ change: (inout PostgresConfiguration) -> Void = { _ in }
    ) async throws -> PostgresConnection {
        var configuration = configuration()
        change(&configuration)
        return try await PostgresConnection.connect(configuration, logger: logger)
    }

    /// Closes the pool whatever `body` does.
    static func withPool<R>(
        size: Int,
        checkoutTimeout: Duration = .seconds(240),
        _ body: (PostgresPool) async throws -> R
    ) async throws -> R {
        try await withPool(configuration(), size: size, checkoutTimeout: checkoutTimeout, body)
    }

    static func withPool<R>(
        _ configuration: PostgresConfiguration,
        size: Int,
        checkoutTimeout: Duration = .seconds(240),
        _ body: (PostgresPool) async throws -> R
    ) async throws -> R {
        let pool = PostgresPool(configuration, size: size, checkoutTimeout: checkoutTimeout, logger: logger)
        do {
            let value = try await body(pool)
            await pool.close()
            return value
        } catch {
            await pool.close()
            throw error
        }
    }

    /// Waits until the server runs a statement that contains `text`, which no other test's does.
    static func waitUntilRunning(_ text: String) async throws {
        let observer = try await connect()
        let query = PostgresQuery(
            "select 1 from pg_stat_activity where state = 'active' and strpos(query, $1) > 0",
            [.text(text)]
        )
        while try await observer.execute(query).isEmpty {
            try Task.checkCancellation()
        }
    }

    /// Runs `body` with the name of a new table. Not a temporary one: behind a pooler the next transaction may be another
    /// session's.
    static func withTable(_ columns: String, _ body: (_ table: String) async throws -> Void) async throws {
        let name = uniqueName("t")
        let owner = try await connect()
        try await owner.executeScript("create table \(name) \(columns)")
        let result: Result<Void, any Error>
        do { result = .success(try await body(name)) } catch { result = .failure(error) }
        try await owner.executeScript("drop table \(name)")
        try result.get()
    }

    /// A name no other test uses.
    static func uniqueName(_ prefix: String) -> String {
        "\(prefix)_\(UInt64.random(in: .min ... .max))"
    }
}

/// Waits for something another task does, without a clock.
func eventually(_ condition: () -> Bool) async throws {
    while !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}

/// Calls `body`, which must throw a `PostgresError`.
func postgresError(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async throws -> PostgresError {
    try #require(await #expect(throws: PostgresError.self, sourceLocation: sourceLocation) { try await body() })
}
