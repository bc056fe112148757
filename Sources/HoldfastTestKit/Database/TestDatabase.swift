// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
public import Holdfast
import HoldfastPostgres
import Logging
import Synchronization

/// A system database of one test's own: two fresh schemas on a test server, gone afterwards.
///
/// The trait `.postgres` makes one for each test; ``with(_:_:)`` makes one anywhere, also under XCTest.
public struct TestDatabase: Sendable {
    /// What executors and clients are to be configured with.
    public let configuration: DatabaseConfiguration
    let server: TestServer
    let resolved: TestServer.Resolved
    /// The kit's own connection.
    let system: SystemDatabase
    let ledger: Ledger

    /// What the end of the test needs to know.
    final class Ledger: Sendable {
        struct State {
            /// Executors that the kit killed: they left no goodbye in the database, and are no danger.
            var killed: Set<String> = []
            var isKept = false
        }

        let state = Mutex(State())
    }

    @TaskLocal static var local: TestDatabase?

    /// The database of the test that runs.
    ///
    /// - Throws: ``TestKitError/Code/noDatabase`` where there is none.
    public static var current: TestDatabase {
        get throws {
            guard let local = self.local else {
                throw TestKitError(
                    .noDatabase,
                    "no test database here; give the test or its suite the trait .postgres, or wrap the code in "
                        + "TestDatabase.with { database in … }"
                )
            }
            return local
        }
    }

    /// The application that the kit's executors and clients belong to unless they are told otherwise.
    public static let applicationName = "holdfast-tests"

    /// Runs `body` with a client of this database that is closed afterwards.
    public func withClient<R>(
        applicationName: String = TestDatabase.applicationName,
        clock: ManualClock? = nil,
        _ body: (HoldfastClient) async throws -> R
    ) async throws -> R {
        let client = try HoldfastClient(
            database: self.configuration,
            applicationName: applicationName,
            clock: clock?.workflowClock,
            logger: TestLog.logger
        )
        let result: Result<R, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        return try result.get()
    }

    /// Leaves the schemas in the database when the test ends, to be looked at; the kit then says where they are.
    public func keep() { self.ledger.state.withLock { $0.isKept = true } }
}

/// What the kit says, and what the executors it makes log.
enum TestLog {
    static let logger: Logger = {
        var logger = Logger(label: "holdfast.tests")
        let level = ProcessInfo.processInfo.environment["HOLDFAST_TEST_LOG_LEVEL"]
        logger.logLevel = level.flatMap(Logger.Level.init(rawValue:)) ?? .critical
        return logger
    }()

    static func say(_ sentence: String) { FileHandle.standardError.write(Data("holdfast: \(sentence)\n".utf8)) }
}
