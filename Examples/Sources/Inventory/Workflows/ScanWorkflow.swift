// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// Lists a directory, has the files looked at, and gathers what was found.
///
/// When the executor that runs it dies, another one goes on where the record ends: nothing is listed or started twice.
struct ScanWorkflow: Workflow {
    static let name: WorkflowName = "inventory.scan"

    /// A workflow does one thing after the other, and each start of a child is a commit. So the scan does not start the files
    /// one by one, but batches that start theirs side by side.
    private static let batchSize = 50

    func run(_ request: ScanRequest, context: WorkflowContext) async throws -> ScanReport {
        let listing = try await context.step("list") { _ in
            try await Listing(of: request.directory, limit: request.limit)
        }
        var batches: [ChildHandle<FileBatch>] = []
        for start in stride(from: 0, to: listing.files.count, by: Self.batchSize) {
            let paths = Array(listing.files[start...].prefix(Self.batchSize))
            batches.append(try await context.start(BatchWorkflow.self, paths, on: .batches))
        }
        var report = ScanReport(directory: request.directory, listing: listing)
        for batch in batches { report.add(try await context.result(of: batch)) }
        return report
    }
}

/// What to scan.
struct ScanRequest: Codable {
    /// An absolute path.
    var directory: FilePath
    /// At most so many files, the first by path; `nil`: all.
    var limit: Int?
}
