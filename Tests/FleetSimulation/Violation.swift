// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A promise that was broken.
package enum Violation: String, Sendable, Hashable, CaseIterable {
    /// A checkpoint or an outcome was written by an execution that did not own the workflow at that moment.
    case nonOwnerWrite
    /// A hand-back gave away what belonged to somebody else.
    case nonOwnerHandBack
    /// A reclaim took a workflow whose owner had not ended.
    case tookFromTheLiving
    /// A member that had ended claimed work.
    case claimedAfterTheEnd
    /// A member was struck off the list of those whose work is looked for, although it still owned some.
    case struckOffTooEarly
    /// A step began although the executor's lease was over, or its executor had been declared dead by its lease.
    case workedWithoutLease
    /// An executor was declared dead by its lease before its self-stop, so that it may still have worked.
    case hastyDeath
    /// An executor was declared dead by its session, although it was well and connected.
    case falseDeath
    /// A step began more often than once for each time its workflow was owned.
    case excessEffects
    /// A step began under its owner although it was recorded.
    case ranRecordedStep
    /// A workflow that was accepted did not end, although nothing was done to anybody any more.
    case unfinished
    /// An outcome was not what the recorded steps make of it, or a step is missing.
    case wrongResult
    /// The attempts of a workflow are not its claims, less those that ended without a death.
    case wrongAttempts
    /// A process came back after its slot had been given to another one that began later.
    case wrongReplacement
}
