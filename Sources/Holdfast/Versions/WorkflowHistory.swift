// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Everything that is recorded of one workflow: what it was started with, its operations in order, and its outcome.
///
/// Kept as a file beside the code that wrote it (``json``), it can be replayed against later code: HoldfastTestKit's `replay`
/// names the first step that no longer fits.
public struct WorkflowHistory: Sendable, Hashable {
    /// One recorded operation.
    public struct Step: Sendable, Hashable {
        /// Its number.
        public var id: StepID
        /// Its recorded name.
        public var name: String
        /// What it returned, as JSON text.
        public var output: String?
        /// What it threw, as JSON text.
        public var error: String?
        /// The child it started or awaited.
        public var childID: WorkflowID?

        /// Makes a step.
        public init(
            id: StepID,
            name: String,
            output: String? = nil,
            error: String? = nil,
            childID: WorkflowID? = nil
        ) {
            self.id = id
            self.name = name
            self.output = output
            self.error = error
            self.childID = childID
        }
    }

    /// The workflow's id.
    public var id: WorkflowID
    /// The name it is registered under.
    public var name: WorkflowName
    /// Its state when the history was taken. Only the histories of ended workflows are complete.
    public var status: WorkflowStatus
    /// Its arguments, as JSON text.
    public var input: String?
    /// What it returned, as JSON text.
    public var output: String?
    /// What it threw, as JSON text.
    public var error: String?
    /// Its operations, by number.
    public var steps: [Step]

    /// Makes a history.
    public init(
        id: WorkflowID,
        name: WorkflowName,
        status: WorkflowStatus,
        input: String?,
        output: String? = nil,
        error: String? = nil,
        steps: [Step]
    ) {
        self.id = id
        self.name = name
        self.status = status
        self.input = input
        self.output = output
        self.error = error
        self.steps = steps
    }

    /// Whether its code has returned or thrown, so that nothing more can be recorded.
    package var isComplete: Bool { self.status == .success || self.status == .error }
}

extension WorkflowHistory: CustomStringConvertible {
    /// What it is the history of.
    public var description: String {
        "\(self.name) '\(self.id)' (\(self.status), \(self.steps.count) steps)"
    }
}

extension HoldfastClient {
    /// The history of a workflow.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id; ``HoldfastError/Code/undecodable``
    ///   when it was written in a format that only programs of another language read.
    public func history(of id: WorkflowID) async throws -> WorkflowHistory {
        let workflow = try await self.workflow(id)
        let steps = try await self.steps(of: id)
        for format in [workflow.serialization] + steps.map(\.serialization) {
            guard let format, !format.isEmpty, format != "portable_json" else { continue }
            throw HoldfastError(
                .undecodable,
                "workflow '\(id)': it is written as '\(format)', which only programs of its language read"
            )
        }
        return WorkflowHistory(
            id: id,
            name: workflow.name,
            status: workflow.status,
            input: workflow.input,
            output: workflow.output,
            error: workflow.error,
            steps: steps.map {
                .init(id: $0.id, name: $0.name, output: $0.output, error: $0.error, childID: $0.childID)
            }
        )
    }
}
