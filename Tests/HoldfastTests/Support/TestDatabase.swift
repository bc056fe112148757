// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
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
        var configuration = PostgresConfiguration(url ?? TestServer.url, applicationName: "test")
        if url == nil, TestServer.isPooled {
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

    private static let shelf = SchemaShelf(turns: 12)

    /// Runs a test on schemas of its own, without a row in them.
    ///
    /// - Parameters:
    ///   - url: The server. Default: the one that all tests share.
    ///   - fresh: Whether there must be no tables either. Default: an earlier test may have left them.
    static func with<R>(
        url: String? = nil,
        fresh: Bool = false,
        _ body: (TestDatabase) async throws -> R
    ) async throws -> R {
        let isFresh = fresh || url != nil
        let isPooled = url == nil && TestServer.isPooled
        let suffix = await self.shelf.take(fresh: isFresh)
        let database = TestDatabase(
            configuration: DatabaseConfiguration(
                url: url ?? TestServer.url,
                directURL: isPooled ? TestServer.sessionURL : nil,
                isPooled: isPooled,
                schema: "dbos_\(suffix)",
                ownSchema: "holdfast_\(suffix)"
            ),
            pool: PostgresPool(self.connection(to: url), size: 2, logger: self.logger)
        )
        let result: Result<R, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        var isEmptied = false
        do {
            if isFresh { try await database.drop(suffix) } else { isEmptied = try await database.empty() }
        } catch {
            Issue.record(error, "the schemas \(suffix) are left behind")
        }
        for suffix in self.shelf.giveBack(emptied: isEmptied ? suffix : nil) { try await database.drop(suffix) }
        await database.pool.close()
        return try result.get()
    }

    private func drop(_ suffix: String) async throws {
        try await self.query("DROP SCHEMA IF EXISTS dbos_\(suffix), holdfast_\(suffix) CASCADE")
    }

    /// Deletes every row but those that say which migrations have run.
    private func empty() async throws -> Bool {
        try await self.query(
            """
            DO $$ DECLARE t record; BEGIN
              PERFORM set_config('session_replication_role', 'replica', true);
              FOR t IN SELECT schemaname, tablename FROM pg_tables
                        WHERE schemaname IN ('{s}', '{h}') AND tablename NOT LIKE '%migrations' LOOP
                EXECUTE format('DELETE FROM %I.%I', t.schemaname, t.tablename);
              END LOOP;
            END $$
            """
        )
        return true
    }

    /// Runs a statement; `{s}` and `{h}` stand for the schemas.
    @discardableResult
    func query(_ sql: String, _ bindings: PostgresBinding...) async throws -> PostgresResult {
        let text = sql.replacingOccurrences(of: "{s}", with: self.configuration.schema)
            .replacingOccurrences(of: "{h}", with: self.configuration.ownSchema)
        return try await self.pool.execute(PostgresQuery(text, bindings))
    }

    func count(_ sql: String, _ bindings: PostgresBinding...) async throws -> Int {
        let text = sql.replacingOccurrences(of: "{s}", with: self.configuration.schema)
            .replacingOccurrences(of: "{h}", with: self.configuration.ownSchema)
        let result = try await self.pool.execute(PostgresQuery(text, bindings))
        guard let row = result.first else { throw CancellationError() }
        return try row.int(0)
    }

    /// Waits until a query's first value is what is wanted; the limit is for hangs only.
    func until(_ sql: String, is wanted: Int, within limit: Duration = .seconds(60)) async throws {
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
