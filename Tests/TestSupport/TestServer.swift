// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
package import Testing

/// The Postgres server that the tests share, and the ways to it.
///
/// `HOLDFAST_TEST_DATABASE_URL` names a superuser's database on a private server. When it leads through PgBouncer in transaction
/// mode, as under `ops/pooler`, `HOLDFAST_TEST_DIRECT_URL` is the way past that.
package enum TestServer {
    package static let variable = "HOLDFAST_TEST_DATABASE_URL"
    private static let environment = ProcessInfo.processInfo.environment

    @TaskLocal fileprivate static var isDirect = false

    /// The way past the pooler, where there is one.
    package static let directURL = environment["HOLDFAST_TEST_DIRECT_URL"]

    /// The same, for the executors of the running test; `nil` also when they are to do without.
    package static var sessionURL: String? {
        isPooled && environment["HOLDFAST_TEST_POOLER_ALONE"] == nil ? directURL : nil
    }

    /// Whether what the running test gets as ``url`` leads through a pooler.
    package static var isPooled: Bool { directURL != nil && !isDirect }

    /// Where the running test connects.
    package static var url: String {
        guard let url = environment[variable] else {
            fatalError("\(variable) is not set; run the tests through ops/test")
        }
        return isDirect ? directURL ?? url : url
    }
}

/// Lets tests go past the pooler, if there is one. For those that are about what a pooler takes away.
package struct DirectTrait: TestTrait, SuiteTrait, TestScoping {
    package var isRecursive: Bool { true }

    package func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await TestServer.$isDirect.withValue(true) { try await function() }
    }
}

extension Trait where Self == DirectTrait {
    /// - Parameter reason: Why a pooler cannot serve these tests.
    package static func direct(because reason: Comment) -> Self { DirectTrait() }
}
