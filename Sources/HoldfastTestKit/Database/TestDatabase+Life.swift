// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Synchronization

extension TestDatabase {
    /// Runs `body` with a database of its own, which is also ``current`` meanwhile.
    ///
    /// With `HOLDFAST_TEST_KEEP=1` in the environment the schemas stay when `body` throws.
    ///
    /// - Throws: What `body` throws, or a ``TestKitError`` saying what is missing.
    public static func with<R>(
        _ server: TestServer = .automatic,
        _ body: (TestDatabase) async throws -> R
    ) async throws -> R {
        try await self.with(server, keepsFailed: self.keepsFailed, body)
    }

    /// Whether the schemas of failed tests stay.
    static let keepsFailed = ProcessInfo.processInfo.environment["HOLDFAST_TEST_KEEP"] == "1"

    static func with<R>(
        _ server: TestServer,
        keepsFailed: Bool,
        _ body: (TestDatabase) async throws -> R
    ) async throws -> R {
        let resolved = try await server.resolve()
        let shelf = SchemaShelf.of(resolved.url)
        let shelved = await shelf.take()
        let suffix = shelved ?? UUID().uuidString.prefix(8).lowercased()
        let database = TestDatabase(
            configuration: DatabaseConfiguration(
                url: resolved.url,
                schema: "dbos_test_\(suffix)",
                ownSchema: "holdfast_test_\(suffix)"
            ),
            server: server,
            ledger: Ledger()
        )
        let result: Result<R, any Error>
        do {
            if shelved == nil { try await database.migrate(resolved) }
        } catch {
            for suffix in shelf.giveBack(emptied: nil) { await database.drop(suffix) }
            throw error
        }
        do {
            result = .success(try await self.$local.withValue(database) { try await body(database) })
        } catch {
            result = .failure(error)
        }
        if case .failure = result, keepsFailed { database.keep() }
        let emptied = await database.end() ? suffix : nil
        for suffix in shelf.giveBack(emptied: emptied) { await database.drop(suffix) }
        return try result.get()
    }

    private func migrate(_ server: TestServer.Resolved) async throws {
        do {
            _ = try await self.configuration.migrator(logger: TestLog.logger).migrate()
        } catch {
            guard let fault = DatabaseFault(error) else { throw error }
            throw TestKitError(
                .unusableServer,
                "\(server.origin) cannot be used: \(fault.message). It has to run, and its role may create schemas; or "
                    + "unset \(TestServer.variable), and a temporary server is started"
            )
        }
    }

    /// Makes the schemas fit for the next test, or drops them.
    ///
    /// - Returns: Whether the next test may have them.
    private func end() async -> Bool {
        let (killed, isKept) = self.ledger.state.withLock { ($0.killed, $0.isKept) }
        if isKept {
            TestLog.say(
                "kept the schemas \(self.configuration.schema) and \(self.configuration.ownSchema); to remove them: "
                    + "DROP SCHEMA \(self.configuration.schema), \(self.configuration.ownSchema) CASCADE"
            )
            return false
        }
        do {
            return try await self.withSystemDatabase { database in
                // An executor that outlives its test would work in the next one's schemas.
                let left = Set(try await database.activeExecutors()).subtracting(killed)
                guard left.isEmpty else {
                    try await database.dropSchemas()
                    return false
                }
                try await database.deleteAllRows()
                return true
            }
        } catch {
            TestLog.say("the schemas \(self.configuration.schema) and \(self.configuration.ownSchema) are left behind: \(error)")
            return false
        }
    }

    private func drop(_ suffix: String) async {
        var other = self.configuration
        other.schema = "dbos_test_\(suffix)"
        other.ownSchema = "holdfast_test_\(suffix)"
        do {
            try await TestDatabase(configuration: other, server: self.server, ledger: Ledger()).withSystemDatabase {
                try await $0.dropSchemas()
            }
        } catch {
            TestLog.say("the schemas \(other.schema) and \(other.ownSchema) are left behind: \(error)")
        }
    }

    /// A connection of the kit's own.
    func withSystemDatabase<R>(_ body: (SystemDatabase) async throws -> R) async throws -> R {
        let pool = PostgresPool(
            PostgresConfiguration(self.configuration.url, applicationName: "holdfast-test-kit"),
            size: 1,
            logger: TestLog.logger
        )
        let names = try SchemaNames(dbos: self.configuration.schema, holdfast: self.configuration.ownSchema)
        let database = SystemDatabase(pool: pool, names: names, logger: TestLog.logger)
        let result: Result<R, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        await database.close()
        return try result.get()
    }
}
