// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

extension RecoveryFailure {
    static func nondeterministic(
        _ divergence: ReplayFinding.Divergence,
        _ history: WorkflowHistory,
        path: String,
        crash: CrashPoint?
    ) -> RecoveryFailure {
        let cure =
            divergence.step == nil
            ? "The outcome may depend only on the input and on what durable operations return. Time, randomness and I/O "
                + "belong into steps; a variable that the code of a step changes is not changed when the step is not run again."
            : "Between two durable operations the code must do the same on every run: put time, randomness and I/O into "
                + "steps, decide by what the steps return, and keep nothing in variables that outlives the run."
        let place = divergence.step.map { "step \($0): \(divergence.detail)" } ?? divergence.detail
        return RecoveryFailure(
            code: .nondeterministic,
            crash: crash,
            workflow: history.name,
            step: divergence.step,
            message: "workflow '\(history.name)', run again with its own record"
                + "\(crash.map { " (of a run that was killed \($0))" } ?? ""): \(place). \(cure)"
        )
    }

    static func mismatch(_ mismatch: String, _ history: WorkflowHistory, crash: CrashPoint) -> RecoveryFailure {
        RecoveryFailure(
            code: .nondeterministic,
            crash: crash,
            workflow: history.name,
            step: nil,
            message:
                "killed \(crash), workflow '\(history.name)' could not be recovered: \(mismatch). Between two durable "
                + "operations the code must do the same on every run: put time, randomness and I/O into steps, and decide by "
                + "what the steps return."
        )
    }

    static func checkpointIgnored(
        _ what: String,
        _ step: WorkflowHistory.Step,
        _ history: WorkflowHistory,
        _ crash: CrashPoint
    ) -> RecoveryFailure {
        RecoveryFailure(
            code: .checkpointIgnored,
            crash: crash,
            workflow: history.name,
            step: step.id,
            message:
                "killed \(crash): step \(step.id) '\(step.name)' of workflow '\(history.name)' \(what). That must not "
                + "happen whatever the code does; please report it."
        )
    }

    static func different(
        _ difference: RunDifference,
        _ name: WorkflowName,
        _ reference: RunRecord<some Equatable & Sendable>,
        _ crash: CrashPoint
    ) -> RecoveryFailure {
        var step: StepID?
        var workflow = name
        let cure: String
        switch difference.place {
        case .step(let path, let id):
            step = id
            workflow = reference.histories[path]?.name ?? name
            cure =
                "What the code of a step finds in memory is gone after a crash, and a step that was under way runs again: "
                + "let steps get what they need from the input and from what earlier steps returned. If the step may return "
                + "something else whenever it runs, name it in RecoveryOptions.varyingSteps"
        case .outcome(let path):
            workflow = reference.histories[path]?.name ?? name
            cure =
                "What is kept in memory is gone after a crash: let steps get what they need from the input and from what "
                + "earlier steps returned"
        case .workflow(let path):
            workflow = reference.histories[path]?.name ?? name
            cure = "Start children from the workflow itself, not from the code of a step"
        }
        return RecoveryFailure(
            code: .different,
            crash: crash,
            workflow: workflow,
            step: step,
            message: "killed \(crash), workflow '\(name)' does not end as undisturbed: \(difference.sentence). \(cure)."
        )
    }

    static func stuck(_ name: WorkflowName, after limit: Duration, _ watch: CrashWatch, _ why: String)
        -> RecoveryFailure
    {
        let crash = watch.hasStruck ? watch.target : nil
        return RecoveryFailure(
            code: .stuck,
            crash: crash,
            workflow: name,
            step: nil,
            message:
                "workflow '\(name)'\(crash.map { ", killed \($0)," } ?? "") has not ended after \(limit): \(why). If it "
                + "waits for a child, register that one and give its queue; if it is only slow, raise "
                + "RecoveryOptions.timeLimit."
        )
    }
}

extension WorkflowHistory {
    /// What the executor said when it refused to go on, because the code does not fit the record.
    var mismatch: String? {
        guard self.status == .error, let text = self.error else { return nil }
        let error = RecordedError(parsing: text)
        return ["UnexpectedStep", "StepNondeterminism"].contains(error.name) ? error.message : nil
    }
}
