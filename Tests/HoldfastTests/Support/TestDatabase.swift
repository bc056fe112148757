// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Logging
import Synchronization
import Testing

/// Two fresh schemas on the test server, removed at the end.
struct TestDatabase: Sendable {
    let configuration: DatabaseConfiguration
    /// A connection of the test's own, to look at the rows and to make trouble.
    let pool: PostgresPool

    static let url: String = {
        guard let url = ProcessInfo.processInfo.environment["HOLDFAST_TEST_DATABASE_URL"] else {
            fatalError("HOLDFAST_TEST_DATABASE_URL is not set; run the tests through ops/test")
        }
        return url
    }()

    static let logger: Logger = {
        var logger = Logger(label: "test")
        let level = ProcessInfo.processInfo.environment["HOLDFAST_TEST_LOG_LEVEL"]
        logger.logLevel = level.flatMap(Logger.Level.init(rawValue:)) ?? .critical
        return logger
    }()

    /// Tests run side by side, but not all at once: each needs connections, and two cores get no further with more.
    private static let turns = Turns(12)

    /// - Parameter url: The server. Default: the one that all tests share.
    static func with<R>(url: String = url, _ body: (TestDatabase) async throws -> R) async throws -> R {
        await self.turns.take()
        defer { self.turns.giveBack() }
        let suffix = UUID().uuidString.prefix(8).lowercased()
        let configuration = DatabaseConfiguration(url: url, schema: "dbos_\(suffix)", ownSchema: "holdfast_\(suffix)")
        let pool = PostgresPool(PostgresConfiguration(url, applicationName: "test"), size: 2, logger: logger)
        let database = TestDatabase(configuration: configuration, pool: pool)
        let result: Result<R, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        _ = try await pool.execute(
            PostgresQuery("DROP SCHEMA IF EXISTS \(configuration.schema), \(configuration.ownSchema) CASCADE")
        )
        await pool.close()
        return try result.get()
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

/// Lets a limited number of tasks proceed at once, in the order of their arrival.
private final class Turns: Sendable {
    private let state: Mutex<(free: Int, waiters: [CheckedContinuation<Void, Never>])>

    init(_ count: Int) { self.state = Mutex((count, [])) }

    func take() async {
        await withCheckedContinuation { waiter in
            let proceeds = self.state.withLock { state in
                guard state.free > 0 else {
                    state.waiters.append(waiter)
                    return false
                }
                state.free -= 1
                return true
            }
            if proceeds { waiter.resume() }
        }
    }

    func giveBack() {
        let next = self.state.withLock { state in
            guard !state.waiters.isEmpty else {
                state.free += 1
                return nil as CheckedContinuation<Void, Never>?
            }
            return state.waiters.removeFirst()
        }
        next?.resume()
    }
}
