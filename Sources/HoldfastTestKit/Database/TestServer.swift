// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Synchronization

/// Where the databases of tests are.
public struct TestServer: Sendable, Hashable {
    let url: String?

    /// The server that `HOLDFAST_TEST_DATABASE_URL` names. Without it, one that is started with the first test, from the
    /// programs of Postgres on this machine, and that goes with the process.
    public static let automatic = TestServer(url: nil)

    /// A server that runs. Tests make schemas of their own in the database, and leave everything else alone.
    public static func url(_ url: String) -> TestServer { TestServer(url: url) }

    /// The environment variable that names the server.
    public static let variable = "HOLDFAST_TEST_DATABASE_URL"

    /// Names the way past a connection pooler in transaction mode, where ``variable`` leads through one.
    static let directVariable = "HOLDFAST_TEST_DIRECT_URL"
    /// With it, executors do without that way.
    static let aloneVariable = "HOLDFAST_TEST_POOLER_ALONE"

    /// How to connect, and where that came from, for messages.
    struct Resolved: Sendable {
        let url: String
        var directURL: String?
        var isPooled = false
        let origin: String
    }

    func resolve(_ environment: [String: String] = ProcessInfo.processInfo.environment) async throws -> Resolved {
        if let url = self.url { return Resolved(url: url, origin: "the server that the test names") }
        func value(of variable: String) -> String? {
            environment[variable].flatMap { $0.allSatisfy(\.isWhitespace) ? nil : $0 }
        }
        guard let url = value(of: Self.variable) else {
            return Resolved(url: try await Self.temporary.url(), origin: "the temporary server")
        }
        let direct = value(of: Self.directVariable)
        return Resolved(
            url: url,
            directURL: value(of: Self.aloneVariable) == nil ? direct : nil,
            isPooled: direct != nil,
            origin: "the server that \(Self.variable) names"
        )
    }

    private static let temporary = SharedTemporaryServer()
}
