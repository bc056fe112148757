// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// A workflow that was started or looked up. It holds nothing but the id and may be copied freely.
///
/// Inside a workflow a child has a ``ChildHandle`` instead, whose result is awaited through the context and recorded.
public struct WorkflowHandle<Output: Codable & Sendable>: Sendable {
    /// The workflow's id.
    public let id: WorkflowID
    let core: ClientCore

    /// Its present state.
    public func status() async throws -> WorkflowStatus {
        try await HoldfastClient(core: self.core).workflow(self.id).status
    }

    /// Waits until it has settled, wherever it runs.
    ///
    /// - Throws: ``WorkflowFailure`` when it failed, was cancelled or was given up; ``HoldfastError`` when its output is not
    ///   an `Output` or the database refuses; `CancellationError` when the waiting task is cancelled.
    public func result() async throws -> Output {
        let settled = try await self.core.outcomes.outcome(
            of: self.id.rawValue,
            runsHere: self.core.attachedHost?.running.contains(self.id) ?? false
        )
        if let failure = settled.failure { throw failure }
        if let format = settled.serialization, !format.isEmpty, format != "portable_json" {
            throw HoldfastError(
                .undecodable,
                "workflow '\(self.id)': its output is written as '\(format)', which only programs of its language read; "
                    + "declare it portable there"
            )
        }
        do throws(PortableJSONError) {
            return try PortableJSON.decode(Output.self, from: settled.output ?? "null")
        } catch {
            throw HoldfastError(
                .undecodable,
                "workflow '\(self.id)': its output is not a \(Output.self): \(error)",
                underlying: error
            )
        }
    }

    /// Cancels it.
    public func cancel() async throws { try await HoldfastClient(core: self.core).cancel(self.id) }
}
