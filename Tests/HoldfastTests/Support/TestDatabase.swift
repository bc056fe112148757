// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import HoldfastTestKit
import Logging
import TestSupport
import Testing

/// Two fresh schemas on the test server, removed at the end.
struct TestDatabase: Sendable {
    let configuration: DatabaseConfiguration
    /// A connection of the test's own, to look at the rows and to make trouble.
    let pool: PostgresPool

    /// A connection of a test's own.
    ///
    /// - Parameter url: The server. Default: the one that all tests share, through a pooler if there is one.
    static func connection(to url: String? = nil) -> PostgresConfiguration {
        var configuration = PostgresConfiguration(url ?? TestSupport.TestServer.url, applicationName: "test")
        if url == nil, TestSupport.TestServer.isPooled {
            configuration.preparesStatements = false
            configuration.serverSilenceLimit = nil
        }
        return configuration
    }

    static let logger: Logger = {
        var logger = Logger(label: "test")
        let level = ProcessInfo.processInfo.environment["HOLDFAST_TEST_LOG_LEVEL"]
        logger.logLevel = level.flatMap(Logger.Level.init(rawValue:)) ?? .critical
        return logger
    }()

    /// Whether executors have a lease session and hear notifications.
    var hasSession: Bool { !self.configuration.isPooled || self.configuration.directURL != nil }

    /// Runs a test on schemas of its own, without a row in them.
    ///
    /// - Parameters:
    ///   - url: The server. Default: the one that all tests share, through a pooler if there is one.
    ///   - fresh: Whether there must be no tables either. Default: an earlier test may have left them.
    static func with<R>(
        url: String? = nil,
        fresh: Bool = false,
        _ body: (TestDatabase) async throws -> R
    ) async throws -> R {
        guard !fresh, url == nil else { return try await self.withFresh(url, body) }
        let server = TestSupport.TestServer.directURL ?? TestSupport.TestServer.url
        return try await HoldfastTestKit.TestDatabase.with(.url(server)) { database in
            let schemas = database.configuration
            return try await self.withPool(nil, schema: schemas.schema, ownSchema: schemas.ownSchema, body)
        }
    }

    private static func withFresh<R>(_ url: String?, _ body: (TestDatabase) async throws -> R) async throws -> R {
        let suffix = UUID().uuidString.prefix(8).lowercased()
        return try await self.withPool(url, schema: "dbos_\(suffix)", ownSchema: "holdfast_\(suffix)") { database in
            let result: Result<R, any Error>
            do { result = .success(try await body(database)) } catch { result = .failure(error) }
            do { try await database.query("DROP SCHEMA IF EXISTS {s}, {h} CASCADE") } catch {
                Issue.record(error, "the schemas \(suffix) are left behind")
            }
            return try result.get()
        }
    }

    private static func withPool<R>(
        _ url: String?,
        schema: String,
        ownSchema: String,
        _ body: (TestDatabase) async throws -> R
    ) async throws -> R {
        let isPooled = url == nil && TestSupport.TestServer.isPooled
        let database = TestDatabase(
            configuration: DatabaseConfiguration(
                url: url ?? TestSupport.TestServer.url,
                directURL: isPooled ? TestSupport.TestServer.sessionURL : nil,
                isPooled: isPooled,
                schema: schema,
                ownSchema: ownSchema
            ),
            pool: PostgresPool(self.connection(to: url), size: 4, checkoutTimeout: .seconds(240), logger: self.logger)
        )
        let result: Result<R, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        await database.pool.close()
        return try result.get()
    }

    /// Runs a statement; `{s}` and `{h}` stand for the schemas.
    @discardableResult
    func query(_ sql: String, _ bindings: PostgresBinding...) async throws -> PostgresResult {
        try await self.pool.execute(PostgresQuery(self.text(sql), bindings))
    }

    /// A statement with the names of the schemas.
    func text(_ sql: String) -> String {
        sql.replacingOccurrences(of: "{s}", with: self.configuration.schema)
            .replacingOccurrences(of: "{h}", with: self.configuration.ownSchema)
    }

    func count(_ sql: String, _ bindings: PostgresBinding...) async throws -> Int {
        let result = try await self.pool.execute(PostgresQuery(self.text(sql), bindings))
        guard let row = result.first else { throw CancellationError() }
        return try row.int(0)
    }

    /// Waits until a query's first value is what is wanted; the limit is for hangs only.
    func until(_ sql: String, is wanted: Int, within limit: Duration = .seconds(240)) async throws {
        let end = ContinuousClock.now.advanced(by: limit)
        while true {
            let value = try await self.count(sql)
            if value == wanted { return }
            guard ContinuousClock.now < end else {
                Issue.record("waited for \(wanted), still \(value): \(sql)")
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
