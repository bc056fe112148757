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

    /// Names the way past a connection pooler, where ``variable`` leads through one. It wins: the kit needs sessions.
    static let directVariable = "HOLDFAST_TEST_DIRECT_URL"

    /// Where a URL came from, for messages.
    struct Resolved: Sendable {
        let url: String
        let origin: String
    }

    func resolve() async throws -> Resolved {
        if let url = self.url { return Resolved(url: url, origin: "the server that the test names") }
        for variable in [Self.directVariable, Self.variable] {
            guard let url = ProcessInfo.processInfo.environment[variable], !url.allSatisfy(\.isWhitespace) else {
                continue
            }
            return Resolved(url: url, origin: "the server that \(variable) names")
        }
        return Resolved(url: try await Self.temporary.url(), origin: "the temporary server")
    }

    private static let temporary = SharedTemporaryServer()
}
