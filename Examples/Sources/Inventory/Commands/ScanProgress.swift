// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast

/// Waits for a scan; on a terminal it says how far it is.
struct ScanProgress {
    let client: HoldfastClient
    let scan: WorkflowHandle<ScanReport>

    func result() async throws -> ScanReport {
        guard isatty(STDOUT_FILENO) == 1 else { return try await self.scan.result() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.show() }
            defer {
                group.cancelAll()
                Self.replaceLine("")
            }
            return try await self.scan.result()
        }
    }

    private func show() async throws {
        var total: Int?
        while true {
            if total == nil { total = try await self.total() }
            if let total {
                Self.replaceLine("\(try await self.done()) of \(total) files")
            } else {
                Self.replaceLine("waiting for an executor")
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// How many files there are, as soon as they are listed.
    private func total() async throws -> Int? {
        let steps = try await self.client.steps(of: self.scan.id)
        guard let listed = steps.first?.output else { return nil }
        return try JSONDecoder().decode(Listing.self, from: Data(listed.utf8)).files.count
    }

    private func done() async throws -> Int {
        var filter = WorkflowFilter()
        // The id of a child begins with its parent's.
        filter.idPrefix = "\(self.scan.id)-"
        filter.names = [FileWorkflow.name]
        filter.statuses = [.success, .error, .cancelled, .recoveryAttemptsExceeded]
        filter.limit = .max
        return try await self.client.workflows(filter).count
    }

    private static func replaceLine(_ text: String) {
        FileHandle.standardOutput.write(Data("\r\u{1B}[K\(text)".utf8))
    }
}
