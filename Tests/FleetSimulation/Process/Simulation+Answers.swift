// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What a process does with an answer, with a failure, and when a time has come.
extension Simulation {
    mutating func answered(_ answer: Answer, to question: SimulatedProcess.Question, _ process: Int) {
        switch (question.purpose, answer) {
        case (.begin, .count(let place)):
            self.processes[process].began = place
            self.join(process)
        case (.join(let life), .joined(let hasJoined, let epoch, let time)):
            self.joinAnswered(
                process,
                life,
                hasJoined: hasJoined,
                epoch: epoch,
                time: time,
                sentAt: question.sentAt
            )
        case (.renewal(let life), .renewed(let renewal)):
            self.renewalAnswered(process, life, renewal, sentAt: question.sentAt)
        case (.hedge(let life), .renewed(let renewal)):
            self.processes[process].hedges -= 1
            self.learn(from: renewal, process, life, sentAt: question.sentAt)
        case (.sessionLock(let life, let session), _):
            self.sessionLocked(process, life: life, session: session)
        case (.declaration, .declaredDead(let ended)): self.declared(ended, process)
        case (.reclaim, .count(let count)): self.reclaimed(count, process)
        case (.mark, _): self.marked(process)
        case (.leaving, _): self.exit(process)
        case (.claim(let token), .claimed(let claimed)): self.claimed(claimed, token, process)
        case (.lostClaims, .returned(let found, let count)):
            self.lostClaimsReturned(process, isAll: found == count)
        case (.ownership, .lost(let owners)): self.lost(owners, process)
        case (.journal(let execution), .steps(let values)): self.journalRead(values, execution, process)
        case (.checkpoint(let execution), .checkpoint(let answer)): self.recorded(answer, execution, process)
        case (.start(let work, let token), .stored(let isOurs)): self.started(work, token, isOurs: isOurs, process)
        case (.handBack, _): for peer in self.processes.indices { self.hint(peer) }
        default: break
        }
    }

    mutating func failed(_ purpose: SimulatedProcess.Purpose, _ process: Int) {
        guard self.processes[process].state != .gone else { return }
        let delay = self.generator.pick(50...500)
        switch purpose {
        case .begin, .join: self.timer(.joinAgain, of: process, in: delay)
        case .renewal:
            let hadSession = self.processes[process].holdsSession
            self.processes[process].isRenewing = false
            self.renewSoon(process, in: hadSession ? 0 : self.settings.heartbeat / 2)
        case .hedge:
            self.processes[process].hedges -= 1
        case .sessionLock:
            self.timer(.openSession, of: process, in: delay)
        case .declaration, .reclaim, .mark: self.reclaimFailed(process)
        case .claim(let token): self.claimFailed(token, process)
        case .lostClaims:
            self.processes[process].isClaiming = false
            self.claimSoon(process, in: delay)
        case .journal(let execution), .checkpoint(let execution):
            self.timer(.retry(execution: execution), of: process, in: delay)
        case .outcome(let work, let token, let value, let fences):
            self.timer(.repeatOutcome(work: work, token, value: value, fences: fences), of: process, in: delay)
        case .handBack(let work, let token):
            self.timer(.repeatHandBack(work: work, token), of: process, in: delay)
        case .start(let work, let token): self.timer(.repeatStart(work: work, token), of: process, in: delay)
        case .leaving: self.exit(process)
        case .ownership, .orphans: break
        }
    }

    mutating func fired(_ timer: Event.Timer, _ process: Int) {
        switch timer {
        case .renew(let moment):
            guard moment == self.processes[process].nextRenewal else { return }
            self.renew(process)
        case .hedge: self.hedge(process)
        case .clock(let moment):
            guard moment == self.processes[process].nextTick else { return }
            self.processes[process].nextTick = nil
            self.tick(process)
        case .claim(let moment):
            guard moment == self.processes[process].nextClaim else { return }
            self.processes[process].nextClaim = nil
            self.claim(process)
        case .watch: self.watch(process)
        case .orphans:
            self.timer(.orphans, of: process, in: self.settings.lease)
            self.send(.reviewEnded, from: process, for: .orphans)
        case .confirm: self.confirm(process)
        case .joinAgain: self.join(process)
        case .joinLimit(let life):
            let isJoining = self.processes[process].questions.contains {
                if case .join(let asked) = $0.purpose { asked == life } else { false }
            }
            if isJoining { self.abandonConnections(process) }
        case .openSession:
            if self.processes[process].session == nil {
                self.openSession(process)
            } else if !self.processes[process].holdsSession {
                self.lockSession(process)
            }
        case .step(let execution): self.record(execution, process)
        case .retry(let execution):
            guard let index = self.processes[process].index(of: execution) else { return }
            let run = self.processes[process].executions[index]
            if run.current != nil {
                self.record(execution, process)
            } else {
                self.send(.journal(work: run.work), from: process, for: .journal(execution: execution))
            }
        case .repeatOutcome(let work, let token, let value, let fences):
            self.writeOutcome(work, token, value, fences: fences, process)
        case .repeatHandBack(let work, let token): self.handBack(work, token, process)
        case .repeatStart(let work, let token):
            self.send(.startDirectly(work: work, token), from: process, for: .start(work: work, token))
        case .grace: self.graceIsOver(process)
        case .leave: self.leave(process)
        case .exit: self.exit(process)
        }
    }
}
