// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import TestSupport
import Testing

@testable import Holdfast

@Suite(.timeLimit(.minutes(5)), .direct(because: "PgBouncer hides why a server refuses a login"))
struct MissingDatabaseTests {
    private func migrator(_ configuration: PostgresConfiguration) -> Migrator {
        var migrator = Migrator(configuration: configuration, names: .standard, logger: ScratchDatabase.silentLogger)
        migrator.timing.retryInterval = .milliseconds(10)
        migrator.timing.firstRetryInterval = .milliseconds(10)
        return migrator
    }

    private func exists(_ name: String) async throws -> Bool {
        try await ScratchDatabase.onServer { connection in
            let query = PostgresQuery("SELECT 1 FROM pg_database WHERE datname = $1", [.text(name)])
            return try await !connection.execute(query).isEmpty
        }
    }

    @Test func migratingCreatesIt() async throws {
        try await ScratchDatabase.withName { name in
            let configuration = try ScratchDatabase.serverConfiguration().connecting(toDatabase: name)
            let report = try await migrator(configuration).migrate()
            #expect(report.createdDatabase)
            #expect(report.dbos.outcome == .created)
            #expect(try await !migrator(configuration).migrate().createdDatabase)
        }
    }

    @Test func tenMayTry() async throws {
        try await ScratchDatabase.withName { name in
            let migrator = migrator(try ScratchDatabase.serverConfiguration().connecting(toDatabase: name))
            try await withThrowingTaskGroup(of: MigrationReport.self) { group in
                for _ in 0..<10 { group.addTask { try await migrator.migrate() } }
                let reports = try await group.reduce(into: []) { $0.append($1) }
                #expect(reports.count { $0.dbos.outcome == .created } == 1)
            }
        }
    }

    @Test func verifyingDoesNot() async throws {
        try await ScratchDatabase.withName { name in
            let configuration = try ScratchDatabase.serverConfiguration().connecting(toDatabase: name)
            let error = try await migrationError { _ = try await migrator(configuration).verify() }
            #expect(error.code == .databaseMissing)
            #expect(error.message.contains(name))
            #expect(try await !exists(name))
        }
    }

    @Test func aRoleThatMayNotCreateItIsTold() async throws {
        try await ScratchDatabase.withRole { role in
            try await ScratchDatabase.withName { name in
                let configuration = try ScratchDatabase.serverConfiguration().connecting(toDatabase: name)
                    .connecting(as: role)
                let error = try await migrationError { _ = try await migrator(configuration).migrate() }
                #expect(error.code == .databaseMissing)
                #expect(error.message.contains("CREATE DATABASE \"\(name)\""))
                #expect(try await !exists(name))
            }
        }
    }

    @Test func aServerThatIsNotThereStaysAPostgresError() async throws {
        // Nothing listens on the port for discarding.
        let migrator = migrator(PostgresConfiguration("postgresql://user@127.0.0.1:9/none"))
        let error = await #expect(throws: PostgresError.self) { try await migrator.migrate() }
        #expect(error?.isTransient == true)
    }

    @Test(arguments: [
        ("postgresql://user:secret@host:5433/one?sslmode=disable", "one"),
        ("postgresql://user@host/one?dbname=two", "two"),
        ("host=h dbname='it\\'s odd' user=u", "it's odd"),
    ])
    func theNameIsRead(string: String, name: String) throws {
        let configuration = PostgresConfiguration(string)
        #expect(try configuration.databaseName() == name)
        let other = try configuration.connecting(toDatabase: "a 'b' \\c")
        #expect(try other.databaseName() == "a 'b' \\c")
        #expect(try other.connecting(toDatabase: name).databaseName() == name)
    }
}
