// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// What `Membership` does in a process.
extension Simulation {
    mutating func launch(_ slot: Int) {
        let settings = self.settings
        // The mutants count with times that the library refuses.
        let isLate = self.mutant == .lateSelfStop
        let process = SimulatedProcess(
            id: self.processes.count,
            slot: slot,
            liveness: LivenessMachine(
                heartbeat: .milliseconds(settings.heartbeat),
                selfStop: .milliseconds(isLate ? settings.lease * 2 : settings.selfStop),
                lease: .milliseconds(isLate ? settings.lease * 3 : settings.lease)
            ),
            reclaiming: ReclaimMachine(
                confirmation: .milliseconds(150),
                secondLook: .milliseconds(settings.heartbeat * 3 / 2),
                batch: 3
            ),
            databaseClock: ClockEstimate(origin: self.instant(0)),
            troubledAt: self.now
        )
        self.processes.append(process)
        self.join(process.id)
        self.timer(.watch, of: process.id, in: self.settings.heartbeat)
        self.timer(.hedge, of: process.id, in: self.settings.heartbeat)
        self.timer(.orphans, of: process.id, in: self.settings.lease)
        self.timer(.openSession, of: process.id, in: self.generator.pick(5...50))
    }

    /// A supervisor starts another process where none runs.
    mutating func launchUnlessTaken(_ slot: Int) {
        let isTaken = self.processes.contains { $0.slot == slot && $0.state == .running && !$0.isDraining }
        if !isTaken { self.launch(slot) }
    }

    func joined(_ process: Int, _ life: Int) -> Bool {
        self.processes[process].isMember && self.processes[process].life == life
    }

    // MARK: Joining

    mutating func join(_ process: Int) {
        guard !self.processes[process].isLeaving, !self.processes[process].liveness.isReplaced,
            !self.processes[process].isMember,
            !self.processes[process].questions.contains(where: { $0.purpose.isJoin })
        else { return }
        guard let began = self.processes[process].began else { return self.send(.begin, from: process, for: .begin) }
        self.processes[process].lives += 1
        let life = self.database.addLife(
            SimulatedDatabase.Life(
                incarnation: Incarnation(using: &self.generator),
                slot: self.processes[process].slot,
                process: process,
                began: began,
                number: self.processes[process].lives
            )
        )
        self.send(.join(life: life), from: process, for: .join(life: life))
        self.timer(.joinLimit(life: life), of: process, in: self.settings.selfStop)
    }

    mutating func joinAnswered(_ process: Int, _ life: Int, hasJoined: Bool, epoch: Int, time: Int, sentAt: Int) {
        self.processes[process].databaseClock.answered(
            .milliseconds(time),
            sentAt: self.instant(sentAt),
            receivedAt: self.instant(self.now)
        )
        guard hasJoined else {
            return self.perform(self.processes[process].liveness.refused(), process, abandons: false)
        }
        self.processes[process].liveness.joined(
            sentAt: self.instant(sentAt),
            now: self.instant(self.now),
            serverEpoch: "\(epoch)"
        )
        self.processes[process].life = life
        self.processes[process].renewedAt = sentAt
        self.processes[process].holdsSession = false
        self.processes[process].liveness.sessionClosed()
        guard self.processes[process].liveness.tick(now: self.instant(self.now)) == .none else {
            return self.join(process)
        }
        self.processes[process].tenure.renewed(selfStopAt: self.processes[process].liveness.selfStopAt)
        if self.processes[process].isLeaving { return self.leave(process) }
        self.processes[process].tenure.open(self.database.lives[life].incarnation)
        self.watchClock(process)
        self.renewSoon(process, in: self.settings.heartbeat)
        self.lockSession(process)
        self.hint(process)
    }

    // MARK: Renewing

    /// The next renewal, unless one is under way or due before.
    mutating func renewSoon(_ process: Int, in delay: Int) {
        let moment = self.now + delay
        guard !self.processes[process].isRenewing else {
            self.processes[process].wantsRenewal = self.processes[process].wantsRenewal || delay == 0
            return
        }
        self.processes[process].nextRenewal = moment
        self.timer(.renew(at: moment), of: process, in: delay)
    }

    mutating func renew(_ process: Int, withSession: Bool = true) {
        guard let life = self.processes[process].life, self.processes[process].isMember,
            !self.processes[process].isRenewing
        else { return }
        self.processes[process].isRenewing = true
        let held = withSession && self.processes[process].holdsSession ? self.processes[process].session : nil
        self.send(
            .renew(
                life: life,
                session: held.map { .held($0) } ?? .absent,
                isDraining: self.processes[process].isDraining
            ),
            from: process,
            for: .renewal(life: life)
        )
    }

    mutating func renewalAnswered(_ process: Int, _ life: Int, _ renewal: Answer.Renewal, sentAt: Int) {
        self.processes[process].isRenewing = false
        let pause = sentAt + self.settings.heartbeat - self.generator.below(self.settings.heartbeat / 10) - self.now
        self.renewSoon(process, in: self.processes[process].wantsRenewal ? 0 : pause)
        self.processes[process].wantsRenewal = false
        self.learn(from: renewal, process, life, sentAt: sentAt)
    }

    /// Sends another renewal while one gets no answer.
    mutating func hedge(_ process: Int) {
        self.timer(.hedge, of: process, in: self.settings.heartbeat)
        let isDue = self.now >= self.processes[process].renewedAt + 2 * self.settings.heartbeat
        guard isDue, let life = self.processes[process].life, self.processes[process].isMember,
            !self.processes[process].isLeaving, self.processes[process].hedges < 3
        else { return }
        self.processes[process].hedges += 1
        self.judge.tally.add(.hedges)
        self.send(
            .renew(life: life, session: .unchanged, isDraining: self.processes[process].isDraining),
            from: process,
            for: .hedge(life: life)
        )
    }

    mutating func learn(from renewal: Answer.Renewal, _ process: Int, _ life: Int, sentAt: Int) {
        guard !self.processes[process].isLeaving else { return }
        let jump = self.processes[process].databaseClock.answered(
            .milliseconds(renewal.time),
            sentAt: self.instant(sentAt),
            receivedAt: self.instant(self.now)
        )
        let action = self.processes[process].liveness.answered(
            renewal.answer,
            sentAt: self.instant(sentAt),
            now: self.instant(self.now)
        )
        self.processes[process].tenure.renewed(selfStopAt: self.processes[process].liveness.selfStopAt)
        if case .renewed = renewal.answer {
            self.processes[process].renewedAt = max(sentAt, self.processes[process].renewedAt)
        }
        self.processes[process].liveness.databaseClockWasSet(
            by: jump,
            uncertainty: self.processes[process].databaseClock.uncertainty,
            now: self.instant(self.now)
        )
        self.perform(action, process, abandons: false)
        guard action == .none, let judgement = self.judgement(process) else { return }
        let suspects = judgement.fair(
            renewal.suspects.map {
                ReclaimMachine.Suspect(
                    incarnation: self.database.lives[$0.life].incarnation.text,
                    lease: "\($0.leaseEnd)",
                    isLeaseExpired: $0.isLeaseExpired,
                    isOverdue: $0.isOverdue,
                    isSessionGone: $0.isSessionGone
                )
            }
        )
        if !suspects.isEmpty { self.found(.suspects(suspects), process) }
        if !renewal.unreclaimed.isEmpty { self.found(.unreclaimed(renewal.unreclaimed.map(self.dead)), process) }
    }

    func dead(_ life: Int) -> ReclaimMachine.Dead {
        let row = self.database.lives[life]
        return ReclaimMachine.Dead(
            incarnation: row.incarnation.text,
            executorID: "\(row.slot)",
            reason: row.reason?.rawValue ?? ""
        )
    }

    func judgement(_ process: Int) -> ReclaimMachine.Judgement? {
        let judgement = self.processes[process].liveness.judgement(now: self.instant(self.now))
        switch self.mutant {
        case .noGrace: return judgement.map { _ in ReclaimMachine.Judgement(leases: true, sessions: true) }
        case .hastySessions: return judgement.map { ReclaimMachine.Judgement(leases: $0.leases, sessions: true) }
        default: return judgement
        }
    }

    // MARK: The clock

    mutating func watchClock(_ process: Int) {
        guard self.mutant != .noSelfStop, let moment = self.processes[process].liveness.selfStopAt else { return }
        let due = self.milliseconds(moment)
        guard self.processes[process].nextTick != due else { return }
        self.processes[process].nextTick = due
        self.timer(.clock(at: due), of: process, in: due - self.now)
    }

    mutating func tick(_ process: Int) {
        let action = self.processes[process].liveness.tick(now: self.instant(self.now))
        self.perform(action, process, abandons: action == .fence)
        self.watchClock(process)
    }

    mutating func perform(_ action: LivenessMachine.Action, _ process: Int, abandons: Bool) {
        guard action != .none else { return }
        self.processes[process].tenure.shut()
        self.closeAll(process, .selfFenced)
        self.processes[process].fences += 1
        if abandons { self.abandonConnections(process) }
        switch action {
        case .none: break
        case .fence:
            self.judge.tally.add(.fences)
            self.join(process)
        case .stop:
            self.judge.tally.add(.replaced)
            let slot = self.processes[process].slot
            let began = self.processes[process].began ?? 0
            let isJustified = self.processes.contains { $0.slot == slot && $0.began ?? 0 > began }
            if !isJustified { self.judge.violate(.wrongReplacement) }
            self.exit(process)
        }
    }

    // MARK: The lease session

    mutating func openSession(_ process: Int) {
        guard self.processes[process].session == nil else { return }
        guard self.database.isUp, !self.processes[process].isCut else {
            return self.timer(.openSession, of: process, in: self.generator.pick(50...500))
        }
        self.database.sessions.append(SimulatedDatabase.Session(process: process, epoch: self.database.epoch))
        self.processes[process].session = self.database.sessions.count - 1
        self.lockSession(process)
    }

    mutating func lockSession(_ process: Int) {
        guard let session = self.processes[process].session, let life = self.processes[process].life,
            self.processes[process].isMember
        else { return }
        self.send(
            .lockSession(life: life, session: session),
            from: process,
            for: .sessionLock(life: life, session: session)
        )
    }

    mutating func sessionLocked(_ process: Int, life: Int, session: Int) {
        guard self.joined(process, life), self.processes[process].session == session else { return }
        self.processes[process].holdsSession = true
        self.processes[process].liveness.sessionOpened(now: self.instant(self.now))
        self.renewSoon(process, in: 0)
    }

    /// The server ends a session; its client learns of it unless it is cut off.
    mutating func endSession(_ session: Int) {
        guard self.database.sessions[session].isOpen else { return }
        self.database.sessions[session].isOpen = false
        let process = self.database.sessions[session].process
        guard self.processes[process].session == session, self.processes[process].state != .gone else { return }
        // A frozen process finds out when it wakes; so does one that is cut off when it gives up.
        guard self.processes[process].state == .running, !self.processes[process].isCut else { return }
        self.loseSession(process)
    }

    mutating func loseSession(_ process: Int) {
        guard self.processes[process].session != nil else { return }
        self.processes[process].session = nil
        self.processes[process].holdsSession = false
        self.processes[process].liveness.sessionClosed()
        self.timer(.openSession, of: process, in: self.generator.pick(5...60))
        // Say so before peers take the vanished session for a death.
        self.renewSoon(process, in: 0)
    }
}
