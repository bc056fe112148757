// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// What `Claimer`, `ExecutionHost` and `Housekeeper` do in a process.
extension Simulation {
    // MARK: Claiming

    /// Work may have arrived, or a slot is free.
    mutating func hint(_ process: Int) {
        guard self.processes[process].state == .running else { return }
        self.claimSoon(process, in: self.generator.pick(0...3))
    }

    mutating func claimSoon(_ process: Int, in delay: Int) {
        let moment = self.now + delay
        if let due = self.processes[process].nextClaim, due >= self.now, due <= moment { return }
        self.processes[process].nextClaim = moment
        self.timer(.claim(at: moment), of: process, in: delay)
    }

    mutating func claim(_ process: Int) {
        let free = self.settings.capacity - self.processes[process].executions.count
        guard !self.processes[process].isClaiming else { return }
        // Whether or not there is room for more, and also when it claims nothing more.
        let lost = self.processes[process].lostClaims.map(\.token)
        if !lost.isEmpty, self.processes[process].tenure.isOpen {
            self.processes[process].isClaiming = true
            return self.send(.handBackClaims(lost), from: process, for: .lostClaims(lost.count))
        }
        guard !self.processes[process].isDraining, free > 0 else { return }
        self.claimNow(process, free)
    }

    mutating func claimNow(_ process: Int, _ free: Int) {
        guard let token = self.nextToken(process) else {
            self.processes[process].isClaiming = false
            return
        }
        self.processes[process].isClaiming = true
        self.send(.claim(token, limit: free), from: process, for: .claim(token))
    }

    mutating func nextToken(_ process: Int) -> Token? {
        guard let life = self.processes[process].life, let text = self.processes[process].tenure.nextToken() else {
            return nil
        }
        return Token(text: text, life: life)
    }

    mutating func claimed(_ claimed: [Answer.Claimed], _ token: Token, _ process: Int) {
        self.processes[process].isClaiming = false
        for work in claimed { self.launch(work.work, token, hasCheckpoints: work.hasCheckpoints, process) }
        self.claimSoon(process, in: claimed.isEmpty ? self.settings.heartbeat : 5)
    }

    mutating func claimFailed(_ token: Token, _ process: Int) {
        self.processes[process].isClaiming = false
        if self.mutant != .forgottenClaim { self.processes[process].lostClaims.append((token, self.now)) }
        self.claimSoon(process, in: self.generator.pick(50...500))
    }

    /// - Parameter isAll: Whether none of what was found was locked by somebody.
    mutating func lostClaimsReturned(_ process: Int, isAll: Bool) {
        self.processes[process].isClaiming = false
        // For so long the statement of a claim whose answer was lost may still be on its way.
        let now = self.now
        if isAll { self.processes[process].lostClaims.removeAll { now - $0.at > 60_000 } }
        let free = self.settings.capacity - self.processes[process].executions.count
        guard free > 0, !self.processes[process].isDraining else {
            return self.claimSoon(process, in: self.settings.heartbeat)
        }
        self.claimNow(process, free)
    }

    // MARK: Starting

    mutating func startDirectly(_ work: Int, _ process: Int) {
        guard let token = self.nextToken(process) else { return }
        self.send(.startDirectly(work: work, token), from: process, for: .start(work: work, token))
    }

    mutating func started(_ work: Int, _ token: Token, isOurs: Bool, _ process: Int) {
        self.acknowledged[work] = true
        if isOurs { self.launch(work, token, hasCheckpoints: false, process) }
    }

    // MARK: Running

    /// Work that must not run here goes back.
    private mutating func launch(_ work: Int, _ token: Token, hasCheckpoints: Bool, _ process: Int) {
        guard self.processes[process].tenure.isCurrent(token.text), !self.processes[process].isDraining else {
            return self.handBack(work, token, process)
        }
        let id = self.processes[process].nextExecution
        self.processes[process].nextExecution += 1
        self.processes[process].executions.append(SimulatedProcess.Execution(id: id, work: work, token: token))
        if hasCheckpoints {
            self.send(.journal(work: work), from: process, for: .journal(execution: id))
        } else {
            self.goOn(id, process)
        }
    }

    mutating func journalRead(_ values: [Int], _ execution: Int, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        if self.mutant != .journalIgnored { self.processes[process].executions[index].values = values }
        self.goOn(execution, process)
    }

    /// The next step begins, or the outcome is written.
    mutating func goOn(_ execution: Int, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        let run = self.processes[process].executions[index]
        let step = run.values.count
        guard step < self.database.works[run.work].steps else { return self.finish(execution, process) }
        if self.mutant != .sleepwalker, self.mutant != .noSelfStop,
            !self.processes[process].tenure.mayBeginSteps(now: self.instant(self.now))
        {
            return self.close(execution, .selfFenced, process)
        }
        do throws(ExecutionMachine.Interruption) {
            try self.processes[process].executions[index].machine.beginStep()
        } catch {
            return self.ended(execution, error.reason, process)
        }
        self.judge.began(step, of: run.work, by: run.token, database: self.database, now: self.now)
        // Which attempt it was makes a difference, as in the world outside.
        self.processes[process].executions[index].current = Record(
            value: self.generator.below(1_000_000),
            stamp: Int(truncatingIfNeeded: self.generator.next() >> 1)
        )
        self.timer(.step(execution: execution), of: process, in: self.generator.pick(0...2 * self.settings.heartbeat))
    }

    /// The code of a step has ended: its checkpoint is written.
    mutating func record(_ execution: Int, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        let run = self.processes[process].executions[index]
        guard let record = run.current else { return }
        guard run.machine.mayRecordSteps else {
            return self.ended(execution, run.machine.interruption ?? .lostOwnership, process)
        }
        self.send(
            .checkpoint(work: run.work, run.token, step: run.values.count, record),
            from: process,
            for: .checkpoint(execution: execution)
        )
    }

    mutating func recorded(_ answer: Answer.CheckpointAnswer, _ execution: Int, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        switch answer {
        case .recorded:
            let run = self.processes[process].executions[index]
            if let value = run.current?.value { self.processes[process].executions[index].values.append(value) }
            self.processes[process].executions[index].current = nil
            _ = self.processes[process].executions[index].machine.endStep()
            self.goOn(execution, process)
        case .lostOwnership, .conflict:
            self.close(execution, .lostOwnership, process)
        }
    }

    private mutating func finish(_ execution: Int, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        if let reason = self.processes[process].executions[index].machine.finish() {
            return self.ended(execution, reason, process)
        }
        let run = self.processes[process].executions[index]
        self.release(execution, process)
        let fences = self.processes[process].fences
        self.writeOutcome(run.work, run.token, Judge.result(of: run.values), fences: fences, process)
    }

    mutating func writeOutcome(_ work: Int, _ token: Token, _ value: Int, fences: Int, _ process: Int) {
        guard fences == self.processes[process].fences else { return }
        self.send(
            .outcome(work: work, token, value: value),
            from: process,
            for: .outcome(work: work, token, value: value, fences: fences)
        )
    }

    // MARK: Ending

    mutating func close(_ execution: Int, _ reason: InterruptionReason, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        _ = self.processes[process].executions[index].machine.close(reason)
        self.ended(execution, reason, process)
    }

    /// The run is over without an outcome of its own.
    private mutating func ended(_ execution: Int, _ reason: InterruptionReason, _ process: Int) {
        guard let index = self.processes[process].index(of: execution) else { return }
        let run = self.processes[process].executions[index]
        self.release(execution, process)
        if reason == .shutdown { self.handBack(run.work, run.token, process) }
    }

    mutating func closeAll(_ process: Int, _ reason: InterruptionReason) {
        for execution in self.processes[process].executions { self.close(execution.id, reason, process) }
    }

    /// Gives up the slot.
    private mutating func release(_ execution: Int, _ process: Int) {
        self.processes[process].executions.removeAll { $0.id == execution }
        self.hint(process)
        self.leaveIfIdle(process)
    }

    mutating func handBack(_ work: Int, _ token: Token, _ process: Int) {
        self.send(.handBack(work: work, token), from: process, for: .handBack(work: work, token))
    }

    // MARK: Watching

    /// Ends what no longer belongs to this process.
    mutating func watch(_ process: Int) {
        self.timer(.watch, of: process, in: self.settings.heartbeat + self.generator.below(50))
        let owners = self.processes[process].executions.map { (work: $0.work, token: $0.token) }
        guard !owners.isEmpty else { return }
        self.send(.notOwned(owners), from: process, for: .ownership)
    }

    mutating func lost(_ owners: [(work: Int, token: Token)], _ process: Int) {
        for owner in owners {
            for execution in self.processes[process].executions where execution.token == owner.token {
                if execution.work == owner.work { self.close(execution.id, .lostOwnership, process) }
            }
        }
    }
}
