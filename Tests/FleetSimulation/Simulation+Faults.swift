// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// What happens to the fleet.
extension Simulation {
    private var running: [Int] { self.processes.indices.filter { self.processes[$0].state == .running } }

    private mutating func victim() -> Int? {
        let running = self.running
        return running.isEmpty ? nil : running[self.generator.below(running.count)]
    }

    mutating func strike() {
        guard !self.isCalm else { return }
        let before = self.trace == nil ? "" : self.state
        defer { if let trace = self.trace { trace("\(self.now) ms\tfault\t\(before)\n\tnow\t\(self.state)") } }
        switch self.generator.below(100) {
        case ..<20: if let victim = self.victim() { self.kill(victim) }
        case ..<38: if let victim = self.victim() { self.freeze(victim) }
        case ..<55: if let victim = self.victim() { self.cut(victim) }
        case ..<67: if let victim = self.victim() { self.terminate(victim) }
        case ..<73: if let victim = self.victim() { self.usurp(victim) }
        case ..<83: self.stopServer(for: self.generator.pick(1...self.generator.pick(1...2) * self.settings.lease))
        case ..<87: self.stopServer(for: self.generator.pick(1...2000), recovers: true)
        case ..<92: self.setClock()
        default:
            let work = self.generator.below(self.settings.workflows)
            if self.database.isUp {
                if self.generator.chance(50) {
                    self.database.cancel(work, judge: &self.judge)
                } else {
                    self.database.resume(work, judge: &self.judge)
                }
            }
        }
    }

    /// How everybody is, for a trace.
    private var state: String {
        let processes = self.processes.map {
            "\($0.id): \($0.state)\($0.isCut ? ", cut" : "")\($0.isDraining ? ", draining" : "")"
        }
        let server = self.database.isUp ? "up" : "down"
        let sessions = self.database.sessions.indices.filter { self.database.sessions[$0].isOpen }
        return
            "[\(processes.joined(separator: "; "))] server \(server), clock \(self.database.offset), sessions \(sessions)"
    }

    // MARK: Processes

    /// The kernel closes its sockets, unless its host is cut off.
    mutating func exit(_ process: Int) {
        guard self.processes[process].state != .gone else { return }
        self.processes[process].state = .gone
        self.processes[process].questions = []
        let delay = self.processes[process].isCut ? self.silence : 4
        for session in self.database.sessions.indices where self.database.sessions[session].process == process {
            self.schedule(.sessionEnds(session), in: delay)
        }
    }

    private mutating func kill(_ process: Int) {
        let slot = self.processes[process].slot
        self.exit(process)
        self.schedule(.launch(slot: slot), in: self.generator.pick(10...2 * self.settings.lease))
    }

    private mutating func freeze(_ process: Int) {
        self.processes[process].state = .frozen
        self.schedule(.thaw(process: process), in: self.generator.pick(1...2 * self.settings.lease))
    }

    /// It goes on where it stood; nothing says in which order it sees what has happened.
    mutating func thaw(_ process: Int) {
        guard self.processes[process].state == .frozen else { return }
        self.processes[process].state = .running
        self.processes[process].troubledAt = self.now
        var inbox = self.processes[process].inbox
        self.processes[process].inbox = []
        inbox.shuffle(using: &self.generator)
        for event in inbox { self.schedule(event.kind, of: process, in: 0) }
        self.notice(process)
    }

    /// It finds out that its session is gone.
    private mutating func notice(_ process: Int) {
        guard let session = self.processes[process].session, !self.database.sessions[session].isOpen else { return }
        self.loseSession(process)
    }

    private mutating func cut(_ process: Int) {
        guard !self.processes[process].isCut else { return }
        let duration = self.generator.pick(1...2 * self.settings.lease)
        self.processes[process].isCut = true
        self.schedule(.reconnect(process: process), in: duration)
        guard duration > self.silence, let session = self.processes[process].session else { return }
        self.schedule(.sessionEnds(session), in: self.silence)
    }

    mutating func reconnected(_ process: Int) {
        self.processes[process].isCut = false
        self.processes[process].troubledAt = self.now
        for session in self.database.sessions.indices
        where self.database.sessions[session].process == process && self.processes[process].session != session {
            self.endSession(session)
        }
        if self.processes[process].state == .running { self.notice(process) }
    }

    /// Somebody starts another process in a slot whose process lives, perhaps because it does not answer.
    private mutating func usurp(_ process: Int) {
        if self.generator.chance(60) { self.freeze(process) }
        self.launch(self.processes[process].slot)
    }

    // MARK: Shutdown

    private mutating func terminate(_ process: Int) {
        guard !self.processes[process].isDraining else { return }
        self.processes[process].isDraining = true
        self.renewSoon(process, in: 0)
        for execution in self.processes[process].executions {
            guard let index = self.processes[process].index(of: execution.id) else { continue }
            if self.processes[process].executions[index].machine.drain(.shutdown) == .cancelTask {
                self.close(execution.id, .shutdown, process)
            }
        }
        self.timer(.grace, of: process, in: self.generator.pick(0...2 * self.settings.heartbeat))
        self.leaveIfIdle(process)
        self.schedule(
            .launch(slot: self.processes[process].slot),
            in: self.generator.pick(10...2 * self.settings.lease)
        )
    }

    mutating func graceIsOver(_ process: Int) {
        self.closeAll(process, .shutdown)
        self.leave(process)
    }

    mutating func leaveIfIdle(_ process: Int) {
        guard self.processes[process].isDraining, !self.processes[process].isLeaving,
            self.processes[process].executions.isEmpty
        else { return }
        self.timer(.leave, of: process, in: 1)
    }

    mutating func leave(_ process: Int) {
        if !self.processes[process].isLeaving {
            self.processes[process].isLeaving = true
            self.timer(.exit, of: process, in: self.settings.selfStop)
        }
        guard let life = self.processes[process].life, self.processes[process].isMember else { return }
        guard
            !self.processes[process].questions.contains(where: { if case .leaving = $0.purpose { true } else { false } }
            )
        else { return }
        self.send(.leave(life: life), from: process, for: .leaving)
    }

    // MARK: The database

    /// Backwards or forwards, a little or a lot.
    ///
    /// Not twice within a lease: a clock that is set there and back between two looks of a watcher leaves nothing to see but leases that
    /// look expired. Who lives renews his before the second look, but who is frozen at that moment does not.
    private mutating func setClock() {
        guard self.now >= self.clockSetAt + self.settings.lease else { return }
        self.clockSetAt = self.now
        let distance = self.generator.chance(50) ? self.generator.pick(1...self.settings.lease) : 3_600_000
        self.database.offset += self.generator.chance(50) ? distance : -distance
    }

    // MARK: The end of all trouble

    /// From now on nothing is done to anybody. Every now and then an operator resumes what was cancelled, and a supervisor
    /// starts what does not run.
    mutating func endTrouble() {
        if !self.isCalm {
            for process in self.processes.indices where self.processes[process].state != .gone {
                if self.processes[process].isCut { self.reconnected(process) }
                self.thaw(process)
            }
        }
        self.isCalm = true
        if self.database.isUp {
            for work in self.database.works.indices where self.database.works[work].status == .cancelled {
                self.database.resume(work, judge: &self.judge)
            }
        }
        for slot in 0..<self.settings.slots { self.launchUnlessTaken(slot) }
        self.schedule(.calm, in: self.settings.lease)
    }
}
