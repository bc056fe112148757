// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import TestSupport
import Testing

@testable import HoldfastPostgres

@Suite(.timeLimit(.minutes(5))) struct TransportSecurityTests {
    @Test func verifyFullAcceptsOnlyTheRightServer() async throws {
        let access = "hostssl all all 127.0.0.1/32 trust\nhostnossl all all 127.0.0.1/32 reject"
        try await TemporaryPostgres.withServer(access: access) { server in
            try await makeCertificates(server)
            try server.write(
                """
                listen_addresses = '127.0.0.1'
                unix_socket_directories = ''
                ssl = on
                ssl_cert_file = '../server.crt'
                ssl_key_file = '../server.key'

                """,
                to: "data/postgresql.auto.conf"
            )
            try await server.restart()

            let connection = try await connect(server, host: "localhost", authority: "authority.crt")
            let query: PostgresQuery = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
            #expect(try await connection.execute(query)[0].bool(0))
            // Large enough for many records in both directions.
            let text = String(repeating: "0123456789", count: 10_000)
            let results = try await connection.pipeline(
                (0..<100).map { PostgresQuery("select $1, $2", [.int4(Int32($0)), .text(text)]) }
            )
            #expect(try results[99][0].string(1) == text)

            let wrongAuthority = try await postgresError {
                _ = try await connect(server, host: "localhost", authority: "stranger.crt")
            }
            #expect(wrongAuthority.code == .connectionFailed)
            #expect(wrongAuthority.message.contains("certificate verify failed"))

            let wrongName = try await postgresError {
                _ = try await connect(server, host: "db.example", authority: "authority.crt")
            }
            #expect(wrongName.code == .connectionFailed)
            #expect(wrongName.message.contains("does not match host name \"db.example\""))

            let plain = try await postgresError {
                _ = try await PostgresConnection.connect(
                    PostgresConfiguration(server.string("sslmode=disable")),
                    logger: TestDatabase.logger
                )
            }
            #expect(plain.sqlState == "28000")
        }
    }

    private func connect(
        _ server: TemporaryPostgres,
        host: String,
        authority: String
    ) async throws -> PostgresConnection {
        let options = "host=\(host) hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=\(server.folder)/\(authority)"
        return try await PostgresConnection.connect(
            PostgresConfiguration("port=\(server.port) user=postgres dbname=postgres \(options)"),
            logger: TestDatabase.logger
        )
    }

    /// An authority, a certificate for `localhost` signed by it, and an authority that has nothing to do with it.
    private func makeCertificates(_ server: TemporaryPostgres) async throws {
        func openssl(_ arguments: String) async throws {
            let words = arguments.split(separator: " ").map(String.init)
            try await Command.run("/usr/bin/env", ["openssl"] + words, in: server.folder)
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        try await openssl("req -x509 \(key) -keyout authority.key -out authority.crt -subj /CN=authority")
        try await openssl("req -x509 \(key) -keyout stranger.key -out stranger.crt -subj /CN=stranger")
        try await openssl("req -new \(key) -keyout server.key -out server.csr -subj /CN=localhost")
        try server.write("subjectAltName=DNS:localhost\n", to: "names")
        try await openssl(
            "x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 -extfile names"
                + " -out server.crt"
        )
        try server.protect("server.key")
        try server.protect("server.crt")
    }
}
