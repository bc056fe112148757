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
        let shelf = await SchemaShelf.of(resolved)
        let isNested = self.local?.configuration.url == resolved.url
        let shelved = await shelf.take(isNested: isNested)
        let suffix = shelved ?? UUID().uuidString.prefix(8).lowercased()
        let database = try TestDatabase(resolved, suffix: suffix, named: server)
        let result: Result<R, any Error>
        do {
            if shelved == nil { try await database.migrate() }
        } catch {
            await database.end(on: shelf, isUsable: false, isNested: isNested)
            throw error
        }
        do {
            result = .success(try await self.$local.withValue(database) { try await body(database) })
        } catch {
            result = .failure(error)
        }
        if case .failure = result, keepsFailed { database.keep() }
        await database.end(on: shelf, isUsable: true, isNested: isNested)
        return try result.get()
    }

    /// Ends the turn of a test, whatever became of it.
    private func end(on shelf: SchemaShelf, isUsable: Bool, isNested: Bool) async {
        // A task of its own, awaited right here: that of a test that ran out of time is cancelled.
        await Task {
            let isEmptied = isUsable ? await self.prepareForNext() : false
            let emptied = isEmptied ? self.suffix : nil
            for suffix in shelf.giveBack(emptied: emptied, isNested: isNested) { await self.drop(suffix) }
            await self.system.close()
        }.value
    }

    private var suffix: String { String(self.configuration.schema.dropFirst(Self.prefix.count)) }

    private static let prefix = "dbos_test_"

    init(_ resolved: TestServer.Resolved, suffix: String, named server: TestServer) throws {
        let configuration = DatabaseConfiguration(
            url: resolved.url,
            directURL: resolved.directURL,
            isPooled: resolved.isPooled,
            schema: "\(Self.prefix)\(suffix)",
            ownSchema: "holdfast_test_\(suffix)"
        )
        var connection = PostgresConfiguration(resolved.url, applicationName: "holdfast-test-kit")
        if resolved.isPooled {
            connection.preparesStatements = false
            connection.serverSilenceLimit = nil
        }
        let pool = PostgresPool(connection, size: 2, logger: TestLog.logger)
        let names = try SchemaNames(dbos: configuration.schema, holdfast: configuration.ownSchema)
        self.init(
            configuration: configuration,
            server: server,
            resolved: resolved,
            system: SystemDatabase(pool: pool, names: names, logger: TestLog.logger),
            ledger: Ledger()
        )
    }

    /// How many connections the server takes at once.
    func connectionLimit() async throws -> Int {
        let result: Result<Int, any Error>
        do { result = .success(try await self.system.connectionLimit()) } catch { result = .failure(error) }
        await self.system.close()
        return try result.get()
    }

    private func migrate() async throws {
        do {
            _ = try await self.configuration.migrator(logger: TestLog.logger).migrate()
        } catch {
            guard let fault = DatabaseFault(error) else { throw error }
            throw TestKitError(
                .unusableServer,
                "\(self.resolved.origin) cannot be used: \(fault.message). It has to run, and its role may create schemas; or "
                    + "unset \(TestServer.variable), and a temporary server is started"
            )
        }
    }

    /// Makes the schemas fit for the next test, or drops them.
    ///
    /// - Returns: Whether the next test may have them.
    private func prepareForNext() async -> Bool {
        let (killed, isKept) = self.ledger.state.withLock { ($0.killed, $0.isKept) }
        if isKept {
            TestLog.say(
                "kept the schemas \(self.configuration.schema) and \(self.configuration.ownSchema); to remove them: "
                    + "DROP SCHEMA \(self.configuration.schema), \(self.configuration.ownSchema) CASCADE"
            )
            return false
        }
        do {
            // An executor that outlives its test would work in the next one's schemas.
            guard Set(try await self.system.activeExecutors()).isSubset(of: killed) else {
                try await self.system.dropSchemas()
                return false
            }
            try await self.system.deleteAllRows()
            return true
        } catch {
            TestLog.say(
                "the schemas \(self.configuration.schema) and \(self.configuration.ownSchema) are left behind: \(error)"
            )
            return false
        }
    }

    /// Drops schemas that nobody needs any more.
    private func drop(_ suffix: String) async {
        do {
            let other = try TestDatabase(self.resolved, suffix: suffix, named: self.server)
            do { try await other.system.dropSchemas() } catch {
                TestLog.say("the schemas of \(suffix) are left behind: \(error)")
            }
            await other.system.close()
        } catch {
            TestLog.say("the schemas of \(suffix) are left behind: \(error)")
        }
    }
}
