// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Foundation
public import Holdfast

/// Later code does not fit a recorded history.
public struct ReplayFailure: Error, Sendable, CustomStringConvertible {
    /// The workflow whose history it is.
    public let workflowID: WorkflowID
    /// The first operation that does not fit; `nil` when it is the input or the outcome.
    public let step: StepID?
    /// What does not fit, and what to do about it.
    public let message: String

    /// The message.
    public var description: String { self.message }
}

/// Replays a recorded history against the present code of a workflow: recorded operations answer, no step runs, and no
/// database is needed. So histories that are kept as files tell whether a change breaks the workflows under way.
///
/// The history of an ended workflow must be used up and lead to the same outcome; that of an open one must fit as far as it
/// goes. Code between the steps does run.
///
/// ```swift
/// @Test(arguments: try WorkflowHistory.all(in: histories))
/// func fits(history: WorkflowHistory) async throws {
///     try await replay(history: history, against: Checkout(payments: bank))
/// }
/// ```
///
/// - Throws: ``ReplayFailure`` naming the first step that does not fit.
public func replay<W: Workflow>(history: WorkflowHistory, against workflow: W) async throws {
    var registry = WorkflowRegistry()
    try registry.register(workflow)
    try await replay(history: history, against: registry)
}

/// Replays a recorded history against the workflow of its name in a registry.
///
/// - Throws: ``ReplayFailure`` naming the first step that does not fit.
public func replay(history: WorkflowHistory, against registry: WorkflowRegistry) async throws {
    guard let divergence = try await history.finding(with: registry).divergence else { return }
    let place = divergence.step.map { $0.number > 0 ? "step \($0): " : "" } ?? ""
    throw ReplayFailure(
        workflowID: history.id,
        step: divergence.step.flatMap { $0.number > 0 ? $0 : nil },
        message:
            "the history of workflow '\(history.id)' (\(history.name)) does not fit the code: \(place)\(divergence.detail). "
            + "Workflows under way with such a history would fail: put the change behind context.patch, or release it as a "
            + "new version and let the old one finish its work"
    )
}

extension WorkflowHistory {
    /// Reads a file that ``Holdfast/WorkflowHistory/json`` or `holdfast workflow export` wrote.
    public init(contentsOf file: URL) throws {
        do {
            try self.init(json: String(contentsOf: file, encoding: .utf8))
        } catch let error as HoldfastError {
            throw TestKitError(.invalidArgument, "\(file.path): \(error.message)")
        }
    }

    /// Reads all `.json` files of a folder, in the order of their names.
    ///
    /// - Throws: Also when there is none: a test of no history would never fail.
    public static func all(in folder: URL) throws -> [WorkflowHistory] {
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "json" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
        guard !files.isEmpty else {
            throw TestKitError(
                .invalidArgument,
                "there is no history in \(folder.path); write one with 'holdfast workflow export ID >FILE.json'"
            )
        }
        return try files.map { try WorkflowHistory(contentsOf: $0) }
    }

    /// What comes of running the code with this history in the place of the world.
    func finding(with registry: WorkflowRegistry) async throws -> ReplayFinding {
        var configuration = HoldfastExecutor.Configuration(
            applicationName: TestDatabase.applicationName,
            // Never connected to.
            database: DatabaseConfiguration(url: "postgresql://127.0.0.1:1/none")
        )
        configuration.applicationVersion = "replay"
        let executor = try HoldfastExecutor(configuration: configuration, registry: registry, logger: TestLog.logger)
        return await executor.replay(self)
    }
}
