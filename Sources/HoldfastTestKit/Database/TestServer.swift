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

    /// Where a URL came from, for messages.
    struct Resolved: Sendable {
        let url: String
        let origin: String
    }

    func resolve() async throws -> Resolved {
        if let url = self.url { return Resolved(url: url, origin: "the server that the test names") }
        if let url = ProcessInfo.processInfo.environment[Self.variable], !url.allSatisfy(\.isWhitespace) {
            return Resolved(url: url, origin: "the server that \(Self.variable) names")
        }
        return Resolved(url: try await Self.temporary.url(), origin: "the temporary server")
    }

    private static let temporary = SharedTemporaryServer()
}
