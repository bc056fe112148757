// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// One process of an executor, as its parts keep it: the machines are those of the library.
struct SimulatedProcess: Sendable {
    enum State: Sendable { case running, frozen, gone }

    /// One run of one workflow.
    struct Execution: Sendable {
        let id: Int
        let work: Int
        let token: Token
        var machine = ExecutionMachine()
        /// What its steps returned so far, recorded.
        var values: [Int] = []
        /// The step that is under way.
        var current: Record?
        var isFinishing = false
    }

    /// What was asked of the database and got no answer yet.
    struct Question: Sendable {
        let request: Int
        let purpose: Purpose
        let sentAt: Int
    }

    /// What an answer is for.
    enum Purpose: Sendable {
        case begin
        case join(life: Int)
        case renewal(life: Int)
        /// A renewal beside one that gets no answer.
        case hedge(life: Int)
        case sessionLock(life: Int, session: Int)
        case declaration
        case reclaim
        case mark
        case orphans
        case leaving
        case claim(Token)
        case lostClaims(Int)
        case ownership
        case journal(execution: Int)
        case checkpoint(execution: Int)
        case outcome(work: Int, Token, value: Int, fences: Int)
        case handBack(work: Int, Token)
        case start(work: Int, Token)

        /// Whether it is on the way into the fleet.
        var isJoin: Bool {
            switch self {
            case .begin, .join: true
            default: false
            }
        }
    }

    let id: Int
    let slot: Int
    var state: State = .running
    /// Whether nothing from or to its host arrives.
    var isCut = false
    var isDraining = false
    var isLeaving = false

    var liveness: LivenessMachine
    var tenure = Tenure()
    var reclaiming: ReclaimMachine
    var databaseClock: ClockEstimate

    var life: Int?
    /// Its place in the order in which processes began.
    var began: Int?
    var lives = 0
    /// Counts the times at which all connections were given up; answers to what was sent before are lost.
    var connections = 0
    var questions: [Question] = []

    var session: Int?
    var holdsSession = false

    var executions: [Execution] = []
    var nextExecution = 0
    /// Counts the fences: what was asked for before one is not repeated after it.
    var fences = 0
    var isClaiming = false
    var nextClaim: Int?
    var lostClaims: [(token: Token, at: Int)] = []
    var isRenewing = false
    /// When the last renewal that was answered had been sent.
    var renewedAt = 0
    var hedges = 0
    var nextRenewal = 0
    /// Woken while a renewal was under way: the next one follows at once.
    var wantsRenewal = false
    var nextTick: Int?
    /// When it was last frozen, cut off or new.
    var troubledAt: Int
    var isReclaiming = false
    var findings: [ReclaimMachine.Finding] = []
    /// What came while it was frozen.
    var inbox: [Simulation.Event] = []

    var isMember: Bool { self.liveness.isMember }

    func index(of execution: Int) -> Int? { self.executions.firstIndex { $0.id == execution } }
}
