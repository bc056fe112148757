// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5)))
struct SilenceLimitTests {
    @Test(arguments: [2, 3, 4, 7, 9, 10, 11, 12, 19, 20, 30, 599, 32_767])
    func theLimitIsMetExactly(seconds: Int) {
        let limit = SilenceLimit(.seconds(seconds))
        #expect(limit.idle + limit.interval * limit.count == seconds)
        #expect(limit.unconfirmedMilliseconds == seconds * 1000)
        // The kernel refuses anything else.
        #expect((1...127).contains(limit.count))
        #expect((1...32_767).contains(limit.interval))
        #expect((1...32_767).contains(limit.idle))
    }

    @Test func theKernelsSecondsBoundIt() {
        for tooShort in [Duration.zero, .milliseconds(300), .milliseconds(1999), .seconds(-5)] {
            #expect(SilenceLimit(tooShort) == SilenceLimit(.seconds(2)))
        }
        #expect(SilenceLimit(.milliseconds(7900)) == SilenceLimit(.seconds(7)))
        #expect(SilenceLimit(.seconds(Int64.max)) == SilenceLimit(.seconds(32_767)))
    }

    @Test(.direct(because: "settings belong to a session"))
    func theServerIsToldToo() async throws {
        let connection = try await TestDatabase.connect { $0.serverSilenceLimit = .seconds(7) }
        #expect(try await Self.settings(of: connection) == ["4", "1", "3", "7000"])
    }

    @Test func aPooledSessionIsLeftAsItIs() async throws {
        let connection = try await TestDatabase.connect { $0.serverSilenceLimit = nil }
        #expect(try await Self.settings(of: connection)[3] == "0")
    }

    private static func settings(of connection: PostgresConnection) async throws -> [String] {
        let row = try await connection.execute(
            """
            select current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
                   current_setting('tcp_keepalives_count'), current_setting('tcp_user_timeout')
            """
        )[0]
        return try (0..<4).map { try row.string($0) }
    }
}
