// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// What came of replaying a history against the code.
package struct ReplayFinding: Sendable {
    /// Where and how the code departs from the record, if it does.
    package struct Divergence: Sendable, Equatable {
        /// The operation; `nil` when it is the input or the outcome that does not fit.
        package var step: StepID?
        package var detail: String
    }

    package var divergence: Divergence?
    /// Whether the code was followed to its end, so that the outcome was compared as well.
    package var reachedEnd: Bool
}

extension HoldfastExecutor {
    /// Compares a history with the code of this executor, which need not run.
    package func replay(_ history: WorkflowHistory) async -> ReplayFinding { await self.host.replay(history) }
}

extension ExecutionHost {
    /// Runs the code with a history in the place of the world: recorded operations answer, and the run ends where the record
    /// ends. No step runs, nothing is written, and the database is not asked. Code between the steps does run.
    func replay(_ history: WorkflowHistory) async -> ReplayFinding {
        guard let workflow = self.registry.workflows[history.name.rawValue] else {
            return ReplayFinding(
                divergence: .init(
                    step: StepID(0),
                    detail: "workflow '\(history.name)' is not registered in this version"
                ),
                reachedEnd: false
            )
        }
        let check = ReplayCheck(isComplete: history.isComplete)
        let execution = Execution(
            workflowID: history.id,
            name: history.name,
            queue: nil,
            deadline: nil,
            token: "",
            host: self,
            check: check
        )
        let context = WorkflowContext(execution: execution, journal: Journal(recorded: history.steps.map(\.recorded)))
        var result: Result<String, any Error>
        do {
            result = .success(
                try await WorkflowContext.$currentID.withValue(history.id) {
                    try await workflow.run(history.input, context)
                }
            )
        } catch {
            result = .failure(error)
        }
        // Left behind by `run`, and needed by nobody: not beyond the record.
        let isInterrupted = execution.interruption != nil || result.isInterruption
        if isInterrupted || context.journal.firstUnused != nil { check.ended(unused: context.journal.firstUnused) }
        await execution.endBranches()
        if case .diverges(let step, let detail) = check.verdict {
            return ReplayFinding(divergence: .init(step: StepID(step), detail: detail), reachedEnd: false)
        }
        if isInterrupted { return ReplayFinding(divergence: nil, reachedEnd: false) }
        return ReplayFinding(divergence: history.differs(from: result), reachedEnd: history.isComplete)
    }
}

extension WorkflowHistory {
    /// What the code returned or threw now, when it is not what is recorded.
    fileprivate func differs(from result: Result<String, any Error>) -> ReplayFinding.Divergence? {
        switch result {
        case .failure(let error as HoldfastError) where error.code == .undecodable:
            guard self.error.map({ !RecordedError(parsing: $0).isSame(as: error) }) ?? true else { return nil }
            return .init(step: nil, detail: error.message)
        case .success(let output):
            guard self.isComplete else { return nil }
            guard self.status == .success else {
                return .init(step: nil, detail: "it failed with \(self.errorText), but the code returns \(output)")
            }
            guard !PortableJSON.isEquivalent(output, self.output ?? "null") else { return nil }
            return .init(step: nil, detail: "it returned \(self.output ?? "null"), but the code returns \(output)")
        case .failure(let error):
            guard self.isComplete else { return nil }
            let payload = PortableErrorPayload(error)
            let text = "\(payload.name): \(payload.message)"
            guard self.status == .error else {
                return .init(step: nil, detail: "it returned \(self.output ?? "null"), but the code throws \(text)")
            }
            guard let recorded = self.error, !RecordedError(parsing: recorded).isSame(as: error) else { return nil }
            return .init(step: nil, detail: "it failed with \(self.errorText), but the code throws \(text)")
        }
    }

    private var errorText: String { self.error.map { "\(RecordedError(parsing: $0))" } ?? "an error" }
}

extension RecordedError {
    fileprivate func isSame(as error: any Error) -> Bool {
        let other = RecordedError(PortableErrorPayload(error))
        return self.name == other.name && self.message == other.message && self.code == other.code
    }
}

extension Result {
    fileprivate var isInterruption: Bool {
        if case .failure(let error) = self { error is WorkflowInterruption } else { false }
    }
}

extension WorkflowHistory.Step {
    var recorded: RecordedStep {
        RecordedStep(
            functionID: self.id.number,
            name: self.name,
            output: self.output,
            error: self.error,
            childWorkflowID: self.childID?.rawValue,
            serialization: nil
        )
    }
}
