// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

extension RecoveryFailure {
    static func effectRepeated<Effects>(
        _ name: WorkflowName,
        _ undisturbed: Effects,
        _ recovered: Effects,
        _ crash: CrashPoint
    ) -> RecoveryFailure {
        RecoveryFailure(
            code: .effectRepeated,
            crash: crash,
            workflow: name,
            step: nil,
            message:
                "killed \(crash), workflow '\(name)' left another world behind: the effects were \(undisturbed), and after "
                + "the recovery \(recovered). A step that was under way runs again: give its effect an idempotency key, "
                + #"such as "\(context.id)-\(step.id)", or look first whether it happened."#
        )
    }

    static func effectsVary<Effects>(_ name: WorkflowName, _ one: Effects, _ other: Effects) -> RecoveryFailure {
        RecoveryFailure(
            code: .effectsIncomparable,
            crash: nil,
            workflow: name,
            step: nil,
            message:
                "whether an effect of workflow '\(name)' happens twice cannot be told, because the effects differ without a "
                + "crash as well: once they were \(one), and once, the same way, \(other). Let `effects:` return what is the "
                + "same every time: how often something happened instead of ids and dates, and sorted what parallel steps do."
        )
    }

    static func unknownWay<Effects>(
        _ name: WorkflowName,
        _ count: Int,
        _ recovered: Effects,
        _ crash: CrashPoint
    ) -> RecoveryFailure {
        RecoveryFailure(
            code: .effectsIncomparable,
            crash: crash,
            workflow: name,
            step: nil,
            message:
                "killed \(crash), workflow '\(name)' took a way that none of \(count) undisturbed runs took, so there is "
                + "nothing to compare its effects with: \(recovered). Let the test fix what steps draw by chance, or let "
                + "`effects:` return what is the same whichever way it goes."
        )
    }
}
