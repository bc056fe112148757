// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5)))
struct ConnectionLifeTests {
    @Test(.direct(because: "a pooler hides which server process works for whom"))
    func aConnectionKnowsItsServer() async throws {
        let connection = try await TestDatabase.connect()
        let row = try await connection.execute(
            "select pg_backend_pid(), current_setting('server_version_num'), current_setting('application_name')"
        )[0]
        #expect(try row.int(0) == Int(connection.backendPID))
        #expect(try row.int(1) == connection.serverVersion)
        #expect(try row.string(2) == "holdfast-tests")
    }

    @Test func aClosedConnectionRefusesWork() async throws {
        let connection = try await TestDatabase.connect()
        async let last = connection.execute("select pg_sleep(0.01)")
        _ = try await last
        await connection.close()
        #expect(!connection.isUsable)
        let error = try await postgresError { _ = try await connection.execute("select 1") }
        #expect(error.code == .connectionLost)
        await connection.close()
    }

    @Test(.direct(because: "a pooler hides which server process works for whom"))
    func droppingTheLastReferenceEndsTheSession() async throws {
        let pid = try await TestDatabase.connect().backendPID
        try await waitUntilGone(pid)
    }

    @Test(.direct(because: "a pooler hides which server process works for whom"))
    func whatWaitsBehindALossFailsWithIt() async throws {
        let connection = try await TestDatabase.connect()
        async let running = postgresError { _ = try await connection.execute("select pg_sleep(603)") }
        try await TestDatabase.waitUntilRunning("pg_sleep(603)")
        async let waiting = postgresError { _ = try await connection.execute("select 1") }
        async let script = postgresError { try await connection.executeScript("select 1") }
        let observer = try await TestDatabase.connect()
        _ = try await observer.execute(PostgresQuery("select pg_terminate_backend($1)", [.int4(connection.backendPID)]))
        for error in try await [running, waiting, script] {
            #expect(error.code == .connectionLost)
            #expect(error.isTransient)
        }
        #expect(!connection.isUsable)
    }

    @Test(.direct(because: "a pooler tells of a lost server in its own words"))
    func aLossInTheMiddleOfAScript() async throws {
        let connection = try await TestDatabase.connect()
        let error = try await postgresError {
            try await connection.executeScript("select 1; select pg_terminate_backend(pg_backend_pid()); select 2")
        }
        #expect(error.code == .connectionLost)
        #expect(error.sqlState == "57P01")
    }

    /// A thread and two descriptors each: a leak would run into the limit of open files.
    @Test func connectionsLeaveNothingBehind() async throws {
        for _ in 0..<50 {
            let connection = try await TestDatabase.connect()
            _ = try await connection.execute("select 1")
            await connection.close()
        }
    }

    private func waitUntilGone(_ pid: Int32) async throws {
        let observer = try await TestDatabase.connect()
        let query = PostgresQuery("select 1 from pg_stat_activity where pid = $1", [.int4(pid)])
        while try await !observer.execute(query).isEmpty {
            try Task.checkCancellation()
        }
    }
}
