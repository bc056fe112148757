// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

/// A Postgres server of its own for one test: in a temporary folder, on a free port of the loopback interface.
///
/// Postgres refuses to run as root; then the user `postgres` runs it.
package struct TemporaryPostgres: Sendable {
    package struct Failed: Error, CustomStringConvertible {
        package let description: String
    }

    package let folder: String
    package let port: UInt16
    private let binaries: String
    private let environment: [String: String]
    private let isRoot = getuid() == 0

    /// Starts a server, runs `body`, and removes every trace of the server whatever `body` does.
    ///
    /// - Parameters:
    ///   - access: Lines of `pg_hba.conf`, before those that trust everybody.
    ///   - environment: Variables for the server's processes.
    package static func withServer<R>(
        access: String = "",
        environment: [String: String] = [:],
        _ body: (TemporaryPostgres) async throws -> R
    ) async throws -> R {
        let server = try await started(access: access, environment: environment)
        do {
            let value = try await body(server)
            try await server.remove()
            return value
        } catch {
            try? await server.remove()
            throw error
        }
    }

    /// Somebody may take the port between its choice and the start; then another one is chosen.
    private static func started(
        access: String,
        environment: [String: String]
    ) async throws -> TemporaryPostgres {
        var attempt = 1
        while true {
            let server = try TemporaryPostgres(environment: environment)
            do {
                try await server.initialize(access: access)
                try await server.start()
                return server
            } catch {
                try? await server.remove()
                guard attempt < 3 else { throw error }
                attempt += 1
            }
        }
    }

    private init(environment: [String: String]) throws {
        binaries = try Self.findBinaries()
        self.environment = environment
        // The port stays free until the server takes it, as far as anybody can tell.
        port = try SilentListener().port
        folder = "/var/tmp/holdfast-test-\(UInt64.random(in: .min ... .max))"
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o755]
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: false,
            attributes: attributes
        )
        try giveAway(folder)
    }

    /// A connection string for the superuser, with trust.
    package func string(_ options: String = "", user: String = "postgres") -> String {
        "host=127.0.0.1 port=\(port) user=\(user) dbname=postgres \(options)"
    }

    package func start() async throws {
        try await run(
            "pg_ctl",
            ["start", "-w", "-D", "\(folder)/data", "-l", "\(folder)/server.log", "-o", "-p \(port)"]
        )
    }

    package func restart() async throws {
        try await run("pg_ctl", ["restart", "-w", "-m", "fast", "-D", "\(folder)/data", "-l", "\(folder)/server.log"])
    }

    package func stop() async throws {
        try await run("pg_ctl", ["stop", "-w", "-m", "immediate", "-D", "\(folder)/data"])
    }

    /// Writes a file which only the server's user may read.
    package func write(_ text: String, to name: String) throws {
        let path = "\(folder)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try protect(name)
    }

    package func protect(_ name: String) throws {
        let path = "\(folder)/\(name)"
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try giveAway(path)
    }

    private func initialize(access: String) async throws {
        try await run(
            "initdb",
            ["-D", "\(folder)/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        )
        try write(
            """
            listen_addresses = '127.0.0.1'
            unix_socket_directories = ''
            fsync = off
            max_connections = 50

            """,
            to: "data/postgresql.auto.conf"
        )
        try write(access + "\nhost all all 127.0.0.1/32 trust\n", to: "data/pg_hba.conf")
    }

    private func remove() async throws {
        if FileManager.default.fileExists(atPath: "\(folder)/data/postmaster.pid") {
            try await stop()
        }
        try FileManager.default.removeItem(atPath: folder)
    }

    private func giveAway(_ path: String) throws {
        guard isRoot else { return }
        try FileManager.default.setAttributes(
            [.ownerAccountName: "postgres", .groupOwnerAccountName: "postgres"],
            ofItemAtPath: path
        )
    }

    private func run(_ binary: String, _ arguments: [String]) async throws {
        let user = isRoot ? ["runuser", "-u", "postgres", "--"] : []
        let words = user + ["/usr/bin/env"] + environment.map { "\($0.key)=\($0.value)" } + ["\(binaries)/\(binary)"]
        try await Command.run("/usr/bin/env", words + arguments, in: folder)
    }

    private static func findBinaries() throws -> String {
        let versions = "/usr/lib/postgresql"
        let debian = ((try? FileManager.default.contentsOfDirectory(atPath: versions)) ?? [])
            .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
            .map { "\(versions)/\($0)/bin" }
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        guard
            let found = (debian + path).first(where: {
                FileManager.default.isExecutableFile(atPath: "\($0)/initdb")
            })
        else { throw Failed(description: "no initdb: the tests need the programs of a Postgres server") }
        return found
    }
}
