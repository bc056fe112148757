// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// The tables that concern ownership, with rows that transactions lock and statements that follow those of `SystemDatabase`
/// under READ COMMITTED.
///
/// A statement is a transaction. It *begins*: it picks its rows, locks them, and waits where it must. Some time later it *ends*:
/// it changes what it has locked, or it is rolled back. What it read without locking may have changed meanwhile, as in the real
/// one. `StatementConformanceTests` compares each statement with the real one.
struct SimulatedDatabase: Sendable {
    /// A row of `holdfast.executors`.
    struct Life: Sendable {
        enum State: Sendable { case absent, active, draining, dead, stopped }
        enum Reason: String, Sendable, CaseIterable {
            case leaseExpired = "lease_expired"
            case sessionLost = "session_lost"
            case superseded, replaced, rejoined, shutdown
        }

        let incarnation: Incarnation
        let slot: Int
        let process: Int
        /// When its process began, in the order of all, and which of its lives it is.
        let began: Int
        let number: Int
        var state: State = .absent
        var reason: Reason?
        /// By the database's clock.
        var leaseExpiresAt = 0
        /// The server on which it holds a lease session.
        var sessionEpoch: Int?
        var isReclaimed = false
        /// By the simulation's clock, which no statement can read.
        var renewedAt = 0

        /// Whether nobody died, so that what it ran was no attempt.
        var isNoDeath: Bool { [.replaced, .rejoined, .shutdown].contains(self.reason) }
        var isOpen: Bool { self.state == .active || self.state == .draining }
        var hasEnded: Bool { self.state == .dead || self.state == .stopped }
    }

    /// A row of `workflow_status` with its steps.
    struct Work: Sendable {
        enum Status: Sendable { case absent, enqueued, pending, success, cancelled }

        let steps: Int
        var status: Status = .absent
        var owner: Token?
        /// Tells the insert that won.
        var creator: Token?
        var attempts = 0
        var records: [Record?]
        var outcome: Int?

        init(steps: Int) {
            self.steps = steps
            self.records = Array(repeating: nil, count: steps)
        }
    }

    /// A connection that holds the advisory lock of a life.
    struct Session: Sendable {
        let process: Int
        let epoch: Int
        var isOpen = true
        var lockedLife: Int?
    }

    struct Transaction: Sendable {
        let statement: Statement
        /// The rows it has picked: lives or workflows, as the statement says.
        var picked: [Int] = []
        var lockedLives: [(row: Int, mode: LockMode)] = []
        var lockedWorks: [Int] = []
        var lockedSlot: Int?
        /// What it found when it began, for its answer.
        var renewal: Answer.Renewal?
        var mayJoin = false
        /// How many claims it has found, locked ones included.
        var found = 0
    }

    /// FOR KEY SHARE conflicts with FOR UPDATE only, FOR NO KEY UPDATE with itself and with FOR UPDATE.
    enum LockMode: Sendable { case keyShare, noKeyUpdate, update }

    struct RowLock: Sendable {
        var shares = 0
        var isUpdating = false
        var isExclusive = false

        func admits(_ mode: LockMode) -> Bool {
            switch mode {
            case .keyShare: !self.isExclusive
            case .noKeyUpdate: !self.isExclusive && !self.isUpdating
            case .update: !self.isExclusive && !self.isUpdating && self.shares == 0
            }
        }
    }

    let lease: Int
    let mutant: Mutant?
    var lives: [Life] = []
    var works: [Work] = []
    var sessions: [Session] = []
    var lifeLocks: [RowLock] = []
    var workLocks: [Bool] = []
    var slotLocks: [Bool]
    /// Names the running server; changes with every restart, but not when it recovers from the crash of one backend.
    var epoch = 1
    /// Counts both.
    var boots = 1
    var isUp = true
    /// The database's clock less the simulation's.
    var offset: Int
    private var beginnings = 0

    init(settings: Settings, works: [Work], mutant: Mutant?) {
        self.lease = settings.lease
        self.offset = settings.skew
        self.mutant = mutant
        self.works = works
        self.workLocks = Array(repeating: false, count: works.count)
        self.slotLocks = Array(repeating: false, count: settings.slots)
    }

    // MARK: Rows

    mutating func addLife(_ life: Life) -> Int {
        self.lives.append(life)
        self.lifeLocks.append(RowLock())
        return self.lives.count - 1
    }

    mutating func nextBeginning() -> Int {
        self.beginnings += 1
        return self.beginnings
    }

    /// Whether the lease that a suspicion is about is the present one, and has expired.
    func isExpired(_ suspicion: Suspicion, now: Int) -> Bool {
        let life = self.lives[suspicion.life]
        return suspicion.isLeaseExpired && life.leaseExpiresAt == suspicion.leaseEnd && self.isExpired(life, now: now)
    }

    func isExpired(_ life: Life, now: Int) -> Bool {
        let time = now + self.offset
        return life.leaseExpiresAt < time || life.leaseExpiresAt > time + 2 * self.lease
    }

    func isOverdue(_ life: Life, now: Int) -> Bool {
        let time = now + self.offset
        return life.leaseExpiresAt < time - self.lease / 4 || life.leaseExpiresAt > time + 2 * self.lease
    }

    /// Whether nobody holds the lock of its lease session any more, on the server where it took it.
    func isSessionGone(_ index: Int) -> Bool {
        guard self.lives[index].sessionEpoch == self.epoch else { return false }
        return !self.sessions.contains { $0.isOpen && $0.epoch == self.epoch && $0.lockedLife == index }
    }

    func ownsWork(_ life: Int) -> Bool { self.works.contains { $0.status == .pending && $0.owner?.life == life } }

    // MARK: Locks

    mutating func lock(_ life: Int, _ mode: LockMode, for transaction: inout Transaction) {
        switch mode {
        case .keyShare: self.lifeLocks[life].shares += 1
        case .noKeyUpdate: self.lifeLocks[life].isUpdating = true
        case .update: self.lifeLocks[life].isExclusive = true
        }
        transaction.lockedLives.append((life, mode))
    }

    mutating func lockWork(_ work: Int, for transaction: inout Transaction) {
        self.workLocks[work] = true
        transaction.lockedWorks.append(work)
    }

    mutating func release(_ transaction: Transaction) {
        for (life, mode) in transaction.lockedLives {
            switch mode {
            case .keyShare: self.lifeLocks[life].shares -= 1
            case .noKeyUpdate: self.lifeLocks[life].isUpdating = false
            case .update: self.lifeLocks[life].isExclusive = false
            }
        }
        for work in transaction.lockedWorks { self.workLocks[work] = false }
        if let slot = transaction.lockedSlot { self.slotLocks[slot] = false }
    }
}
