// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Testing)
public import Testing

/// Gives each test a ``TestDatabase`` of its own: ``TestDatabase/current``. On a suite it does so for each test in it, and for
/// each argument of a parameterised one.
///
/// With `HOLDFAST_TEST_KEEP=1` in the environment the schemas of tests that fail stay, and the kit says where they are.
public struct PostgresTrait: TestTrait, SuiteTrait, TestScoping {
    let server: TestServer

    /// Suites in the suite are meant as well.
    public var isRecursive: Bool { true }

    /// Runs one test with its database.
    public func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await TestDatabase.with(self.server) { database in
            guard TestDatabase.keepsFailed else { return try await function() }
            let watch = IssueHandlingTrait.compactMapIssues { issue in
                if issue.isFailure { database.keep() }
                return issue
            }
            try await watch.provideScope(for: test, testCase: testCase, performing: function)
        }
    }
}

extension Trait where Self == PostgresTrait {
    /// A database for each test, on the server that `HOLDFAST_TEST_DATABASE_URL` names or on a temporary one.
    public static var postgres: Self { PostgresTrait(server: .automatic) }

    /// A database for each test, on a server.
    public static func postgres(_ server: TestServer) -> Self { PostgresTrait(server: server) }
}
#endif
