// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

/// Why a workflow does not go on.
public struct Explanation: Sendable, Codable, CustomStringConvertible {
    /// The workflow.
    public var workflowID: WorkflowID
    /// A stable name of the blocking fact, for scripts; for instance `queue_limit` or `no_executor_of_version`.
    public var reason: String
    /// One sentence with the blocking fact.
    public var sentence: String

    /// The workflow and the sentence.
    public var description: String { "workflow '\(self.workflowID)': \(self.sentence)" }
}

extension HoldfastClient {
    /// Says why a workflow is waiting, in one sentence with the blocking fact.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id.
    public func explain(_ id: WorkflowID) async throws -> Explanation {
        let facts = try await self.read("explaining workflow '\(id)'") { database throws(PostgresError) in
            try await database.waitingFacts(of: id.rawValue)
        }
        guard let facts else { throw HoldfastError(.nonExistentWorkflow, "no workflow has the id '\(id)'") }
        let reason = WaitingReason(facts)
        return Explanation(workflowID: id, reason: reason.code, sentence: reason.sentence)
    }
}
