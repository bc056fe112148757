// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A fleet with one guard taken out. The judge has to see the difference, or it could see nothing.
package enum Mutant: String, Sendable, CaseIterable {
    /// Checkpoints, outcomes and hand-backs ask for no token.
    case noFence = "no-fence"
    /// The token is looked at in one transaction, and the write follows in another.
    case earlyFence = "early-fence"
    /// The executor stops itself only after its lease is over.
    case lateSelfStop = "late-self-stop"
    /// Nobody watches the moment of self-stop.
    case noSelfStop = "no-self-stop"
    /// A process that was frozen does not look at its clock before it begins a step.
    case sleepwalker = "sleepwalker"
    /// A reclaim takes whatever runs in the slot of a dead executor, whoever it belongs to.
    case unguardedReclaim = "unguarded-reclaim"
    /// A hand-back names the workflow, and no token.
    case unguardedHandBack = "unguarded-hand-back"
    /// An executor judges leases at once, however long the database was away.
    case noGrace = "no-grace"
    /// An executor judges sessions at once, whatever became of its own.
    case hastySessions = "hasty-sessions"
    /// A slot belongs to whoever joins last.
    case joinWithoutOrder = "join-without-order"
    /// A hand-back counts as an attempt.
    case countedHandBack = "counted-hand-back"
    /// What is recorded is not read before the run.
    case journalIgnored = "journal-ignored"
    /// A claim does not look whether its executor is a member.
    case claimOfTheDead = "claim-of-the-dead"
    /// A dead member is struck off the list although it still owns work.
    case hastyMark = "hasty-mark"
    /// A claim whose answer was lost is forgotten.
    case forgottenClaim = "forgotten-claim"
    /// Nobody looks for work that came to a member after it had ended.
    case forgottenOrphan = "forgotten-orphan"

    /// What it has to be caught at, whatever else it breaks.
    package var expected: Violation {
        switch self {
        case .noFence, .earlyFence: .nonOwnerWrite
        case .lateSelfStop, .noSelfStop, .sleepwalker: .workedWithoutLease
        case .unguardedReclaim: .tookFromTheLiving
        case .unguardedHandBack: .nonOwnerHandBack
        case .noGrace: .hastyDeath
        case .hastySessions: .falseDeath
        case .joinWithoutOrder: .wrongReplacement
        case .countedHandBack: .wrongAttempts
        case .journalIgnored: .ranRecordedStep
        case .claimOfTheDead: .claimedAfterTheEnd
        case .hastyMark: .struckOffTooEarly
        case .forgottenClaim, .forgottenOrphan: .unfinished
        }
    }
}
