// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastTestKit
import XCTest

/// The kit without Swift Testing.
final class XCTestUsageTests: XCTestCase {
    private struct Double: Workflow {
        static let name: WorkflowName = "double"

        func run(_ number: Int, context: WorkflowContext) async throws -> Int {
            try await context.step("double") { _ in 2 * number }
        }
    }

    func testVerifiesRecovery() async throws {
        let report = try await verifyRecovery(of: Double(), input: 21)
        XCTAssertEqual(report.crashes, 4)
    }

    func testRunsAFleetOnADatabaseOfItsOwn() async throws {
        try await TestDatabase.with { _ in
            try await withTestFleet(workflows: Double()) { fleet in
                let result = try await fleet[0].client.start(Double.self, 21).result()
                XCTAssertEqual(result, 42)
            }
        }
    }
}
