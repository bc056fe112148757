// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// Starts one workflow for each of a few files, and waits for them.
struct BatchWorkflow: Workflow {
    static let name: WorkflowName = "inventory.batch"

    func run(_ paths: [FilePath], context: WorkflowContext) async throws -> FileBatch {
        var children: [ChildHandle<FileRecord>] = []
        for path in paths { children.append(try await context.start(FileWorkflow.self, path, on: .files)) }
        var batch = FileBatch()
        for (path, child) in zip(paths, children) {
            do {
                batch.files.append(try await context.result(of: child))
            } catch let failure as WorkflowFailure {
                // For instance a file that was deleted after it had been listed.
                batch.problems.append(Problem(path: path, reason: failure.reason))
            }
        }
        return batch
    }
}

/// A part of the report.
struct FileBatch: Codable {
    var files: [FileRecord] = []
    var problems: [Problem] = []
}

extension WorkflowFailure {
    fileprivate var reason: String {
        switch self {
        case .failed(_, let error): error.message
        case .cancelled: "its workflow was cancelled"
        case .recoveryAttemptsExceeded: "its workflow was started too often without an outcome"
        }
    }
}
