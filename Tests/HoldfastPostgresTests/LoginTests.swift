// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct LoginTests {
    private func failure(
        _ text: String,
        timeout: Duration = .seconds(10)
    ) async throws -> PostgresError {
        var configuration = PostgresConfiguration(text)
        configuration.connectTimeout = timeout
        return try await postgresError {
            _ = try await PostgresConnection.connect(configuration, logger: TestDatabase.logger)
        }
    }

    @Test func nobodyListens() async throws {
        let error = try await failure("postgres://user:s3cret@127.0.0.1:1/db")
        #expect(error.code == .connectionFailed)
        #expect(error.isTransient)
        #expect(error.message.contains("127.0.0.1") && error.message.contains("port 1"))
        #expect(error.message.contains("Connection refused"))
        #expect(!"\(error)".contains("s3cret"))
    }

    @Test func nobodyKnowsTheHost() async throws {
        let error = try await failure("postgres://user:s3cret@no-such-host.invalid/db")
        #expect(error.code == .connectionFailed)
        #expect(error.isTransient)
        #expect(error.message.contains("no-such-host.invalid"))
        #expect(!"\(error)".contains("s3cret"))
    }

    @Test func aSilentHostTimesOut() async throws {
        let silent = try SilentListener()
        let error = try await failure("host=127.0.0.1 port=\(silent.port)", timeout: .milliseconds(50))
        #expect(error.code == .connectionFailed)
        #expect(error.isTransient)
        #expect(error.message.contains("timeout expired"))
        #expect(error.message.contains("\(silent.port)"))
    }

    @Test func theConnectionStringLimitsTheWait() async throws {
        let silent = try SilentListener()
        let url = "postgresql://u@127.0.0.1:\(silent.port)/d?connect_timeout=2"
        let error = try await failure(url, timeout: .seconds(600))
        #expect(error.message.contains("timeout expired after 2.0 seconds"))
    }

    @Test func givingUpDoesNotWaitForASilentHost() async throws {
        let silent = try SilentListener()
        let task = Task { try await failure("host=127.0.0.1 port=\(silent.port)", timeout: .seconds(600)) }
        task.cancel()
        #expect(try await task.value.code == .cancelled)
    }

    @Test(arguments: ["sslmode=nonsense", "host=a,b,c port=1,2", "nonsense=1", "host=a port=none"])
    func anUnusableString(_ text: String) async throws {
        let error = try await failure(text)
        #expect(error.code == .invalidConfiguration)
        #expect(!error.isTransient)
    }

    @Test func passwords() async throws {
        let access = "host all guarded 127.0.0.1/32 scram-sha-256"
        try await TemporaryPostgres.withServer(access: access) { server in
            let admin = try await PostgresConnection.connect(
                PostgresConfiguration(server.string()),
                logger: TestDatabase.logger
            )
            try await admin.executeScript("create role guarded login password 'p@ss word/1'")
            let base = "127.0.0.1:\(server.port)"
            let guarded = try await PostgresConnection.connect(
                PostgresConfiguration("postgres://guarded:p%40ss%20word%2F1@\(base)/postgres"),
                logger: TestDatabase.logger
            )
            #expect(try await guarded.execute("select current_user")[0].string(0) == "guarded")

            let wrong = try await failure("postgres://guarded:wr0ng-one@\(base)/postgres")
            #expect(wrong.code == .connectionFailed)
            #expect(wrong.sqlState == "28P01")
            #expect(!wrong.isTransient)
            #expect(wrong.message.contains("password authentication failed for user \"guarded\""))
            #expect(wrong.message.contains("port \(server.port)"))
            #expect(!"\(wrong)".contains("wr0ng-one") && !wrong.message.contains("28P01"))

            let unknown = try await failure("postgres://postgres@\(base)/nowhere")
            #expect(unknown.sqlState == "3D000")
            #expect(!unknown.isTransient)
            #expect(unknown.message.contains("database \"nowhere\" does not exist"))

            // A host that cannot be used is passed over, and the reason of each is told.
            let silent = try SilentListener()
            var several = PostgresConfiguration(
                "postgres://postgres@127.0.0.1:\(silent.port),127.0.0.1:1,\(base)/postgres?target_session_attrs=read-write"
            )
            several.connectTimeout = .seconds(1)
            let connection = try await PostgresConnection.connect(several, logger: TestDatabase.logger)
            #expect(connection.isUsable)
            let both = try await failure("postgres://postgres@127.0.0.1:1,\(base)/nowhere")
            #expect(both.isTransient)
            #expect(both.message.contains("Connection refused") && both.message.contains("\"nowhere\""))
        }
    }
}
