// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastTestKit
import Testing

struct Three: Workflow {
    static let name: WorkflowName = "three"
    func run(_ input: Int, context: WorkflowContext) async throws -> Int {
        var sum = input
        for name in ["a", "b", "c"] as [StepName] {
            sum += try await context.step(name) { _ in 1 }
        }
        try await context.sleep(for: .seconds(86400 * 30))
        return sum
    }
}

@Test func first() async throws {
    let start = ContinuousClock.now
    let report = try await verifyRecovery(of: Three(), input: 3)
    print(report, ContinuousClock.now - start)
}
