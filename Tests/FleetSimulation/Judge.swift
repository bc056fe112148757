// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Keeps its own account of who owns what, from what becomes of it and not from tokens, and compares.
struct Judge: Sendable {
    /// What an account of one workflow says.
    private struct Account: Sendable {
        var owner: Token?
        /// Whether it was claimed, and not started by its owner.
        var isClaimed = false
        /// How often it came to an owner.
        var periods = 0
        /// Since an operator resumed it last.
        var claims = 0
        /// How many of them were no attempts: it was handed back, or taken over although nobody had died.
        var undone = 0
        /// How often each step began.
        var beginnings: [Int]
    }

    let selfStop: Int
    let lease: Int
    /// Whether the network is good, and processes answer at once.
    let isCalm: Bool
    private let seed: UInt64
    private var accounts: [Account]
    var tally = Tally()

    init(seed: UInt64, settings: Settings, works: [SimulatedDatabase.Work]) {
        self.seed = seed
        self.selfStop = settings.selfStop
        self.lease = settings.lease
        self.isCalm = settings.badNetwork == 0
        self.accounts = works.map { Account(beginnings: Array(repeating: 0, count: $0.steps)) }
        self.tally.add(.schedules)
    }

    mutating func violate(_ violation: Violation) { self.tally.violate(violation, seed: self.seed) }

    // MARK: Ownership

    private mutating func owned(_ work: Int, by token: Token) {
        self.accounts[work].owner = token
        self.accounts[work].periods += 1
        self.accounts[work].claims += 1
    }

    /// A claim, in which the database had the last word.
    mutating func claimed(_ work: Int, by token: Token, life: SimulatedDatabase.Life) {
        if life.hasEnded { self.violate(.claimedAfterTheEnd) }
        self.owned(work, by: token)
        self.accounts[work].isClaimed = true
    }

    /// A member started it for itself, perhaps after its end: nothing keeps the database from it.
    mutating func started(_ work: Int, by token: Token) {
        self.owned(work, by: token)
        self.accounts[work].isClaimed = false
    }

    mutating func struckOff(_ life: Int) {
        guard self.accounts.contains(where: { $0.isClaimed && $0.owner?.life == life }) else { return }
        self.violate(.struckOffTooEarly)
    }

    mutating func wrote(_ work: Int, by token: Token) {
        if self.accounts[work].owner != token { self.violate(.nonOwnerWrite) }
    }

    mutating func finished(_ work: Int, by token: Token) {
        self.wrote(work, by: token)
        self.accounts[work].owner = nil
        self.tally.add(.outcomes)
    }

    mutating func handedBack(_ work: Int, by token: Token) {
        if self.accounts[work].owner != token { self.violate(.nonOwnerHandBack) }
        self.accounts[work].owner = nil
        self.accounts[work].undone += 1
        self.tally.add(.handBacks)
    }

    mutating func reclaimed(_ work: Int, from owner: Token?, lives: [SimulatedDatabase.Life]) {
        if let owner = self.accounts[work].owner, !lives[owner.life].hasEnded { self.violate(.tookFromTheLiving) }
        if owner != self.accounts[work].owner { self.violate(.tookFromTheLiving) }
        let reason = self.accounts[work].owner.flatMap { lives[$0.life].reason }
        if reason == .replaced || reason == .rejoined || reason == .shutdown { self.accounts[work].undone += 1 }
        self.accounts[work].owner = nil
        self.tally.add(.takeovers)
    }

    mutating func disowned(_ work: Int) { self.accounts[work].owner = nil }

    mutating func resetAttempts(of work: Int) {
        self.accounts[work].claims = 0
        self.accounts[work].undone = 0
    }

    // MARK: Deaths

    /// - Parameter isWell: Whether its process runs, is connected, and has been for long.
    mutating func declaredDead(_ life: SimulatedDatabase.Life, isWell: Bool, now: Int) {
        if isWell, self.isCalm { self.violate(.falseDeath) }
        if life.reason == .leaseExpired {
            self.tally.add(.leaseDeaths)
            if now < life.renewedAt + self.selfStop { self.violate(.hastyDeath) }
        } else {
            self.tally.add(.sessionDeaths)
        }
    }

    // MARK: Effects

    /// A step begins, in the world outside.
    mutating func began(_ step: Int, of work: Int, by token: Token, database: SimulatedDatabase, now: Int) {
        let life = database.lives[token.life]
        if life.reason == .leaseExpired || now > life.renewedAt + self.lease { self.violate(.workedWithoutLease) }
        self.accounts[work].beginnings[step] += 1
        if self.accounts[work].beginnings[step] > self.accounts[work].periods { self.violate(.excessEffects) }
        if self.accounts[work].owner == token, database.works[work].records[step] != nil {
            self.violate(.ranRecordedStep)
        }
    }

    // MARK: The end

    /// Everything is over: nothing may be left, and nothing may be wrong.
    ///
    /// - Parameter mayBeAbsent: Whether a workflow's start was never acknowledged.
    mutating func conclude(_ database: SimulatedDatabase, mayBeAbsent: (Int) -> Bool) {
        for (index, work) in database.works.enumerated() {
            if work.status == .absent, mayBeAbsent(index) { continue }
            guard work.status == .success else {
                self.violate(.unfinished)
                continue
            }
            let values = work.records.compactMap(\.?.value)
            if values.count != work.steps || work.outcome != Self.result(of: values) { self.violate(.wrongResult) }
            let account = self.accounts[index]
            if work.attempts != max(0, account.claims - account.undone) { self.violate(.wrongAttempts) }
        }
    }

    /// What a workflow makes of its steps.
    static func result(of values: [Int]) -> Int { values.reduce(17) { $0 &* 31 &+ $1 } }
}
