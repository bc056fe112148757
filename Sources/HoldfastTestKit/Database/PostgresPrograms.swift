// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

/// The programs of a Postgres server on this machine, and who may run them.
struct PostgresPrograms: Sendable {
    /// The folder of `initdb` and `pg_ctl`.
    let folder: String
    /// What stands before a command so that it runs as a user whom Postgres accepts.
    let prefix: [String]

    /// - Throws: ``TestKitError/Code/noServer`` saying what to do.
    static func find(
        path: String = ProcessInfo.processInfo.environment["PATH"] ?? "",
        isRoot: Bool = getuid() == 0
    ) throws -> PostgresPrograms {
        let elsewhere = "set \(TestServer.variable) to the URL of a server that runs"
        let folders = path.split(separator: ":").map(String.init) + Self.usualFolders()
        let programs = ["initdb", "pg_ctl", "postgres"]
        guard
            let folder = folders.first(where: { folder in
                programs.allSatisfy { FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)") }
            })
        else {
            throw TestKitError(
                .noServer,
                "there is no Postgres server to test against: install one (Debian: apt-get install postgresql; macOS: brew "
                    + "install postgresql), or \(elsewhere)"
            )
        }
        guard isRoot else { return PostgresPrograms(folder: folder, prefix: []) }
        guard
            let runuser = ["/usr/sbin/runuser", "/sbin/runuser", "/usr/bin/runuser"].first(where: {
                FileManager.default.isExecutableFile(atPath: $0)
            }), getpwnam("postgres") != nil
        else {
            throw TestKitError(
                .noServer,
                "Postgres refuses to run as root, and there is no user 'postgres' to run it as: run the tests as another "
                    + "user, or \(elsewhere)"
            )
        }
        return PostgresPrograms(folder: folder, prefix: [runuser, "-u", "postgres", "--"])
    }

    /// Debian and Homebrew keep them outside the path; the newest version first.
    private static func usualFolders() -> [String] {
        func versions(_ parent: String, _ prefix: String, _ suffix: String) -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [])
                .filter { $0.hasPrefix(prefix) }
                .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
                .map { "\(parent)/\($0)/\(suffix)" }
        }
        return versions("/usr/lib/postgresql", "", "bin")
            + versions("/opt/homebrew/opt", "postgresql", "bin")
            + versions("/usr/local/opt", "postgresql", "bin")
            + versions("/Applications/Postgres.app/Contents/Versions", "", "bin")
    }
}
