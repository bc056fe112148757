// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastTestKit
import Testing

@testable import Inventory

@Suite("A scan whose executor dies", .timeLimit(.minutes(5)))
struct RecoveryTests {
    @Test("finds the same, wherever it dies: in the scan, in its batch or in one of the files")
    func everyPoint() async throws {
        try await TemporaryDirectory.with { directory in
            for name in ["one", "two"] { try directory.write("the file \(name)\n", to: name) }
            let report = try await verifyRecovery(
                of: ScanWorkflow(),
                input: ScanRequest(directory: directory.path, limit: nil),
                options: RecoveryOptions(queues: [Queue(.scans), Queue(.batches), Queue(.files)])
            ) { registry in
                try registry.register(BatchWorkflow())
                try registry.register(FileWorkflow())
            }
            #expect(report.workflows == 4)
            #expect(report.missed.isEmpty)
        }
    }
}
