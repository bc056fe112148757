// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("Where transactions are repeatable read by default", .timeLimit(.minutes(5)))
struct IsolationTests {
    private static let setting = "SET default_transaction_isolation = 'repeatable read'"

    /// Past any pooler.
    private static func url(of database: ScratchDatabase) throws -> String {
        try ScratchDatabase.directConfiguration().connecting(toDatabase: database.name).connectionString
    }

    private static func levels(_ configuration: DatabaseConfiguration) async throws -> [String] {
        var levels: [String] = []
        let session = try #require(configuration.session(applicationName: "test"))
        for its in [configuration.statements(applicationName: "test"), session] {
            let connection = try await PostgresConnection.connect(its, logger: TestDatabase.logger)
            levels.append(try await connection.execute(PostgresQuery("SHOW transaction_isolation"))[0].string(0))
            await connection.close()
        }
        return levels
    }

    @Test("because the database says so: an executor's own sessions are read committed all the same, and it works")
    func database() async throws {
        let workflow = WorkflowReference<Int, Int>("w")
        try await ScratchDatabase.with { scratch in
            try await scratch.execute("ALTER DATABASE \(scratch.name) \(Self.setting)")
            try await TestDatabase.with(url: try Self.url(of: scratch)) { database in
                #expect(try await Self.levels(database.configuration) == ["read committed", "read committed"])
                try await withExecutor(database, queues: [Queue("q")]) { registry in
                    try registry.register(workflow) { number, context in
                        try await context.step("add") { _ in number + 1 }
                    }
                } _: { executor in
                    let handle = try await executor.client.enqueue(workflow, 1, on: "q")
                    #expect(try await handle.result() == 2)
                }
            }
        }
    }

    @Test("because the role says so: an executor's own sessions are read committed all the same")
    func role() async throws {
        try await ScratchDatabase.withRole { role in
            try await ScratchDatabase.with { scratch in
                try await scratch.execute("ALTER ROLE \(role) IN DATABASE \(scratch.name) \(Self.setting)")
                let configuration = try ScratchDatabase.directConfiguration()
                    .connecting(toDatabase: scratch.name).connecting(as: role)
                let levels = try await Self.levels(DatabaseConfiguration(url: configuration.connectionString))
                #expect(levels == ["read committed", "read committed"])
            }
        }
    }

    /// A pooler in transaction mode keeps no settings of a session.
    @Test("behind a pooler: an executor does not start, and says which order mends it")
    func pooled() async throws {
        try await ScratchDatabase.with { scratch in
            try await scratch.execute("ALTER DATABASE \(scratch.name) \(Self.setting)")
            let url = try Self.url(of: scratch)
            try await TestDatabase.with(url: url) { database in
                func make() throws -> HoldfastExecutor {
                    try makeExecutor(database) {
                        $0.database.isPooled = true
                        $0.database.directURL = url
                    }
                }
                let refused = try make()
                let error = try #require(
                    await #expect(throws: HoldfastError.self) { try await refused.run() }
                )
                #expect(error.code == .invalidConfiguration)
                let what = "default_transaction_isolation is 'repeatable read'"
                #expect(error.message.contains(what), "\(error.message)")
                #expect(try await database.count("SELECT count(*) FROM {h}.executors") == 0)

                let parts = error.message.split(separator: ": run ").last?.split(separator: ", and let")
                try await scratch.execute(String(try #require(parts?.first)))
                let started = try make()
                try await withService(started) { _ in try await started.waitUntilReady() }
                #expect(try await database.count("SELECT count(*) FROM {h}.executors") == 1)
                let role = try await scratch.execute("SELECT quote_ident(session_user)")[0].string(0)
                try await scratch.execute("ALTER ROLE \(role) IN DATABASE \(scratch.name) RESET ALL")
            }
        }
    }
}
