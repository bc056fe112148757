// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension SimulatedDatabase {
    /// Picks and locks the rows of a statement; `nil`: it has to wait for a lock, and begins anew when one is released.
    mutating func begin(_ statement: Statement, now: Int) -> Transaction? {
        let mutant = self.mutant
        var transaction = Transaction(statement: statement)
        let begins =
            switch statement {
            case .join(let life):
                self.beginJoin(life, &transaction)
            case .renew(let life, _, _):
                self.beginRenewal(life, now: now, &transaction)
            case .begin, .lockSession, .notOwned, .journal, .startDirectly:
                true
            case .declareDead(let suspects):
                self.beginDeclaration(suspects, now: now, &transaction)
            case .reclaim(let dead, let limit):
                self.beginReclaim(dead, limit: limit, &transaction)
            case .markReclaimed(let lives):
                self.beginMark(lives, &transaction)
            case .reviewEnded:
                self.beginMark(Array(self.lives.indices), &transaction)
            case .leave(let life):
                self.beginLeave(life, &transaction)
            case .claim(let token, let limit):
                self.beginClaim(token, limit: limit, &transaction)
            case .handBack(let work, let token):
                self.beginWrite(to: work, &transaction) {
                    $0.status == .pending && ($0.owner == token || mutant == .unguardedHandBack)
                }
            case .handBackClaims(let tokens):
                self.beginHandBack(&transaction) { tokens.contains($0) }
            case .checkpoint(let work, let token, _, _):
                self.beginWrite(to: work, &transaction) { $0.owner == token }
            case .outcome(let work, let token, _):
                self.beginWrite(to: work, &transaction) { $0.status == .pending && $0.owner == token }
            }
        return begins ? transaction : nil
    }

    // MARK: Membership

    /// Joins of one slot take turns. It belongs to the process that began last, and to the last of its lives.
    private mutating func beginJoin(_ life: Int, _ transaction: inout Transaction) -> Bool {
        let slot = self.lives[life].slot
        let others = self.lives.indices.filter { $0 != life && self.lives[$0].slot == slot && self.lives[$0].isOpen }
        guard !self.slotLocks[slot], others.allSatisfy({ self.lifeLocks[$0].admits(.update) }) else { return false }
        self.slotLocks[slot] = true
        transaction.lockedSlot = slot
        for other in others { self.lock(other, .update, for: &transaction) }
        let own = (self.lives[life].began, self.lives[life].number)
        transaction.mayJoin =
            self.mutant == .joinWithoutOrder
            || !self.lives.contains { $0.slot == slot && $0.state != .absent && ($0.began, $0.number) > own }
        transaction.picked = transaction.mayJoin ? others : []
        return true
    }

    private mutating func beginRenewal(_ life: Int, now: Int, _ transaction: inout Transaction) -> Bool {
        guard self.lifeLocks[life].admits(.noKeyUpdate) else { return false }
        if self.lives[life].isOpen {
            self.lock(life, .noKeyUpdate, for: &transaction)
            transaction.picked = [life]
        }
        let answer: LivenessMachine.RenewalAnswer =
            if self.lives[life].isOpen {
                .renewed(serverEpoch: "\(self.epoch)")
            } else if self.lives[life].reason == .superseded || self.lives[life].reason == .replaced {
                .superseded
            } else {
                .declaredDead
            }
        var renewal = Answer.Renewal(answer: answer, time: now + self.offset, suspects: [], unreclaimed: [])
        for peer in self.watched(by: life) {
            let isExpired = self.isExpired(self.lives[peer], now: now)
            let isGone = self.isSessionGone(peer)
            guard isExpired || isGone else { continue }
            renewal.suspects.append(
                Suspicion(
                    life: peer,
                    leaseEnd: self.lives[peer].leaseExpiresAt,
                    isLeaseExpired: isExpired,
                    isOverdue: self.isOverdue(self.lives[peer], now: now),
                    isSessionGone: isGone
                )
            )
        }
        renewal.unreclaimed = self.lives.indices.filter {
            $0 != life && self.lives[$0].hasEnded && !self.lives[$0].isReclaimed
        }
        transaction.renewal = renewal
        return true
    }

    /// The next three members in the order of their incarnations, around the ring.
    private func watched(by life: Int) -> [Int] {
        let own = self.lives[life].incarnation.text
        let others = self.lives.indices
            .filter { $0 != life && self.lives[$0].isOpen }
            .sorted { one, other in
                let (first, second) = (self.lives[one].incarnation.text, self.lives[other].incarnation.text)
                return (first < own ? 1 : 0, first) < (second < own ? 1 : 0, second)
            }
        return Array(others.prefix(3))
    }

    /// A suspect whose row is locked is left for the next look.
    private mutating func beginDeclaration(
        _ suspects: [Suspicion],
        now: Int,
        _ transaction: inout Transaction
    ) -> Bool {
        for suspect in suspects {
            let life = suspect.life
            guard self.lives[life].isOpen, self.lifeLocks[life].admits(.update) else { continue }
            guard self.isExpired(suspect, now: now) || (suspect.isSessionGone && self.isSessionGone(life)) else {
                continue
            }
            self.lock(life, .update, for: &transaction)
            transaction.picked.append(life)
        }
        return true
    }

    /// The lock waits for claims that are under way, so that what they claimed is given back, too. The real one also waits for
    /// the workflows, for a second.
    private mutating func beginLeave(_ life: Int, _ transaction: inout Transaction) -> Bool {
        guard self.lifeLocks[life].admits(.update) else { return false }
        self.beginHandBack(&transaction) { $0.life == life }
        self.lock(life, .update, for: &transaction)
        return true
    }

    private mutating func beginMark(_ lives: [Int], _ transaction: inout Transaction) -> Bool {
        // Whose row somebody has locked is left alone.
        let marked = lives.filter {
            self.lives[$0].hasEnded && !self.lives[$0].isReclaimed && (self.mutant == .hastyMark || !self.ownsWork($0))
                && self.lifeLocks[$0].admits(.noKeyUpdate)
        }
        for life in marked { self.lock(life, .noKeyUpdate, for: &transaction) }
        transaction.picked = marked
        return true
    }

    // MARK: Work

    /// A claim that picks something locks its member's row, so that it and a declaration of death exclude each other.
    private mutating func beginClaim(_ token: Token, limit: Int, _ transaction: inout Transaction) -> Bool {
        var picked: [Int] = []
        for work in self.works.indices where self.works[work].status == .enqueued && !self.workLocks[work] {
            guard picked.count < limit else { break }
            picked.append(work)
        }
        guard !picked.isEmpty else { return true }
        if self.mutant != .claimOfTheDead {
            guard self.lifeLocks[token.life].admits(.keyShare) else { return false }
            guard self.lives[token.life].isOpen else { return true }
            self.lock(token.life, .keyShare, for: &transaction)
        }
        for work in picked { self.lockWork(work, for: &transaction) }
        transaction.picked = picked
        return true
    }

    private mutating func beginReclaim(_ dead: [Int], limit: Int, _ transaction: inout Transaction) -> Bool {
        let slots = Set(dead.map { self.lives[$0].slot })
        for work in self.works.indices where self.works[work].status == .pending && !self.workLocks[work] {
            guard transaction.picked.count < limit, let owner = self.works[work].owner else { continue }
            let isTheirs =
                self.mutant == .unguardedReclaim
                ? slots.contains(self.lives[owner.life].slot) : dead.contains(owner.life)
            guard isTheirs else { continue }
            self.lockWork(work, for: &transaction)
            transaction.picked.append(work)
        }
        return true
    }

    /// A write to one workflow waits for its lock and looks again at what it finds then.
    private mutating func beginWrite(
        to work: Int,
        _ transaction: inout Transaction,
        where isFenced: (Work) -> Bool
    ) -> Bool {
        if self.mutant == .earlyFence {
            // The row is read, and let go.
            transaction.picked = isFenced(self.works[work]) ? [work] : []
            return true
        }
        guard !self.workLocks[work] else { return false }
        let isUnfenced = self.mutant == .noFence && self.works[work].status == .pending
        guard isUnfenced || isFenced(self.works[work]) else { return true }
        self.lockWork(work, for: &transaction)
        transaction.picked = [work]
        return true
    }

    /// What somebody has locked is left to a later round, or to the peers of who leaves.
    @discardableResult
    private mutating func beginHandBack(_ transaction: inout Transaction, where isTheirs: (Token) -> Bool) -> Bool {
        for work in self.works.indices where self.works[work].status == .pending {
            guard let owner = self.works[work].owner, isTheirs(owner) else { continue }
            transaction.found += 1
            guard !self.workLocks[work] else { continue }
            self.lockWork(work, for: &transaction)
            transaction.picked.append(work)
        }
        return true
    }
}
