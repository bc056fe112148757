// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// The right to a workflow: one execution of one life of a process.
struct Token: Hashable, Sendable {
    /// As the library makes it.
    var text: String
    /// The life it begins with.
    var life: Int

    static func == (one: Token, other: Token) -> Bool { one.life == other.life && one.text == other.text }
}

/// One step as it is recorded.
struct Record: Hashable, Sendable {
    var value: Int
    /// Tells our own repeated write from another one.
    var stamp: Int
}

/// What processes ask of the database: the statements of `SystemDatabase` that concern ownership.
enum Statement: Sendable {
    /// A process asks for its place in the order in which processes began.
    case begin
    case join(life: Int)
    case renew(life: Int, session: SessionReport, isDraining: Bool)
    case lockSession(life: Int, session: Int)
    case declareDead([Suspicion])
    case reclaim([Int], limit: Int)
    case markReclaimed([Int])
    case reviewEnded
    case leave(life: Int)
    case claim(Token, limit: Int)
    case handBack(work: Int, Token)
    case handBackClaims([Token])
    case notOwned([(work: Int, token: Token)])
    case journal(work: Int)
    case checkpoint(work: Int, Token, step: Int, Record)
    case outcome(work: Int, Token, value: Int)
    case startDirectly(work: Int, Token)
}

/// What a renewal says of the member's lease session.
enum SessionReport: Hashable, Sendable {
    case held(Int)
    case absent
    /// As it said last.
    case unchanged
}

struct Suspicion: Sendable {
    var life: Int
    /// The end of the lease it is about.
    var leaseEnd: Int
    var isLeaseExpired: Bool
    var isOverdue: Bool
    var isSessionGone: Bool
}

enum Answer: Sendable {
    case joined(hasJoined: Bool, epoch: Int, time: Int)
    case renewed(Renewal)
    case done
    case declaredDead([Int])
    case count(Int)
    case returned(found: Int, count: Int)
    case claimed([Claimed])
    case lost([(work: Int, token: Token)])
    case steps([Int])
    case checkpoint(CheckpointAnswer)
    case stored(isOurs: Bool)

    struct Renewal: Sendable {
        var answer: LivenessMachine.RenewalAnswer
        var time: Int
        var suspects: [Suspicion]
        var unreclaimed: [Int]
    }

    struct Claimed: Sendable {
        var work: Int
        var hasCheckpoints: Bool
    }

    enum CheckpointAnswer: Sendable { case recorded, lostOwnership, conflict }
}
