// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension SimulatedDatabase {
    /// Changes what the transaction has locked, releases its locks, and answers. The judge is told what becomes of ownership.
    ///
    /// - Parameter isWell: Whether the process of a life runs, is connected, and has been for long.
    mutating func commit(
        _ transaction: Transaction,
        now: Int,
        judge: inout Judge,
        isWell: (Life) -> Bool
    ) -> Answer {
        defer { self.release(transaction) }
        switch transaction.statement {
        case .begin:
            return .count(self.nextBeginning())
        case .join(let life):
            judge.tally.add(.superseded, transaction.picked.count)
            return self.join(life, transaction, now: now)
        case .renew(let life, let session, let isDraining):
            if !transaction.picked.isEmpty {
                self.lives[life].leaseExpiresAt = now + self.offset + self.lease
                self.lives[life].renewedAt = now
                self.lives[life].state = isDraining ? .draining : .active
                switch session {
                case .held: self.lives[life].sessionEpoch = self.epoch
                case .absent: self.lives[life].sessionEpoch = nil
                case .unchanged: break
                }
            }
            return transaction.renewal.map { .renewed($0) } ?? .done
        case .lockSession(let life, let session):
            self.sessions[session].lockedLife = life
            return .done
        case .declareDead(let suspects):
            for life in transaction.picked {
                let isByLease = suspects.contains { $0.life == life && self.isExpired($0, now: now) }
                let reason: Life.Reason = isByLease ? .leaseExpired : .sessionLost
                self.lives[life].state = .dead
                self.lives[life].reason = reason
                judge.declaredDead(self.lives[life], isWell: isWell(self.lives[life]), now: now)
            }
            return .declaredDead(transaction.picked)
        case .reclaim:
            for work in transaction.picked {
                let owner = self.works[work].owner
                judge.reclaimed(work, from: owner, lives: self.lives)
                if let owner, self.lives[owner.life].isNoDeath { self.undoAttempt(of: work) }
                self.works[work].status = .enqueued
                self.works[work].owner = nil
            }
            return .count(transaction.picked.count)
        case .markReclaimed:
            self.strikeOff(transaction.picked, judge: &judge)
            return .done
        case .reviewEnded:
            var count = 0
            for life in self.lives.indices where self.lives[life].hasEnded && self.lives[life].isReclaimed {
                guard self.mutant != .forgottenOrphan, self.ownsWork(life) else { continue }
                self.lives[life].isReclaimed = false
                count += 1
            }
            judge.tally.add(.orphans, count)
            self.strikeOff(transaction.picked, judge: &judge)
            return .count(count)
        case .leave(let life):
            self.handBack(transaction.picked, by: nil, judge: &judge)
            judge.tally.add(.departures)
            if self.lives[life].isOpen {
                self.lives[life].state = .stopped
                self.lives[life].reason = .shutdown
                self.lives[life].isReclaimed = !self.ownsWork(life)
            }
            return .done
        case .claim(let token, _):
            return self.claim(transaction.picked, token, judge: &judge)
        case .handBack(_, let token):
            self.handBack(transaction.picked, by: token, judge: &judge)
            return .done
        case .handBackClaims:
            self.handBack(transaction.picked, by: nil, judge: &judge)
            return .returned(found: transaction.found, count: transaction.picked.count)
        case .notOwned(let owners):
            return .lost(owners.filter { self.works[$0.work].owner != $0.token })
        case .journal(let work):
            return .steps(self.works[work].records.compactMap(\.?.value))
        case .checkpoint(let work, let token, let step, let record):
            return self.checkpoint(work, token, step, record, isFenced: !transaction.picked.isEmpty, judge: &judge)
        case .outcome(let work, let token, let value):
            guard !transaction.picked.isEmpty else {
                judge.tally.add(.refusedWrites)
                return .count(0)
            }
            judge.finished(work, by: token)
            self.works[work].status = .success
            self.works[work].owner = nil
            self.works[work].outcome = value
            return .count(1)
        case .startDirectly(let work, let token):
            if self.works[work].status == .absent {
                self.works[work].status = .pending
                self.works[work].owner = token
                self.works[work].creator = token
                self.works[work].attempts = 1
                judge.started(work, by: token)
            }
            return .stored(isOurs: self.works[work].creator == token)
        }
    }

    private mutating func join(_ life: Int, _ transaction: Transaction, now: Int) -> Answer {
        for other in transaction.picked {
            let isAlive = self.lives[other].sessionEpoch == self.epoch && !self.isSessionGone(other)
            let isOwn = self.lives[other].began == self.lives[life].began
            self.lives[other].state = .dead
            self.lives[other].reason = isOwn ? .rejoined : isAlive ? .replaced : .superseded
        }
        if transaction.mayJoin {
            self.lives[life].state = .active
            self.lives[life].leaseExpiresAt = now + self.offset + self.lease
            self.lives[life].renewedAt = now
        }
        return .joined(hasJoined: transaction.mayJoin, epoch: self.epoch, time: now + self.offset)
    }

    private mutating func claim(_ picked: [Int], _ token: Token, judge: inout Judge) -> Answer {
        var claimed: [Answer.Claimed] = []
        for work in picked {
            self.works[work].status = .pending
            self.works[work].owner = token
            self.works[work].attempts += 1
            judge.claimed(work, by: token, life: self.lives[token.life])
            claimed.append(
                Answer.Claimed(work: work, hasCheckpoints: self.works[work].records.contains { $0 != nil })
            )
        }
        return .claimed(claimed)
    }

    /// - Parameter token: Who gives them back; `nil`: whoever owns them, as the statement has made sure.
    private mutating func handBack(_ picked: [Int], by token: Token?, judge: inout Judge) {
        for work in picked {
            guard let owner = token ?? self.works[work].owner else { continue }
            judge.handedBack(work, by: owner)
            self.works[work].status = .enqueued
            self.works[work].owner = nil
            if self.mutant != .countedHandBack { self.undoAttempt(of: work) }
        }
    }

    private mutating func strikeOff(_ picked: [Int], judge: inout Judge) {
        for life in picked {
            judge.struckOff(life)
            self.lives[life].isReclaimed = true
        }
    }

    private mutating func undoAttempt(of work: Int) {
        self.works[work].attempts = max(0, self.works[work].attempts - 1)
    }

    private mutating func checkpoint(
        _ work: Int,
        _ token: Token,
        _ step: Int,
        _ record: Record,
        isFenced: Bool,
        judge: inout Judge
    ) -> Answer {
        guard isFenced else {
            judge.tally.add(.refusedWrites)
            return .checkpoint(.lostOwnership)
        }
        judge.wrote(work, by: token)
        if let recorded = self.works[work].records[step] {
            return .checkpoint(recorded.stamp == record.stamp ? .recorded : .conflict)
        }
        self.works[work].records[step] = record
        judge.tally.add(.checkpoints)
        return .checkpoint(.recorded)
    }

    // MARK: Operators

    mutating func cancel(_ work: Int, judge: inout Judge) {
        guard !self.workLocks[work], [.enqueued, .pending].contains(self.works[work].status) else { return }
        self.works[work].status = .cancelled
        self.works[work].owner = nil
        judge.disowned(work)
    }

    /// Also takes a workflow from whoever runs it.
    mutating func resume(_ work: Int, judge: inout Judge) {
        guard !self.workLocks[work], ![.success, .absent].contains(self.works[work].status) else { return }
        self.works[work].status = .enqueued
        self.works[work].owner = nil
        self.works[work].attempts = 0
        judge.disowned(work)
        judge.resetAttempts(of: work)
    }
}
