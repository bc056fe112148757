// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// Statements travel, run, and their answers travel back.
extension Simulation {
    /// For so long a client or the server waits for a silent other end: the library sets both to the self-stop.
    var silence: Int { self.settings.selfStop }

    mutating func send(_ statement: Statement, from process: Int, for purpose: SimulatedProcess.Purpose) {
        let index = self.requests.count
        self.requests.append(
            Request(process: process, connections: self.processes[process].connections, statement: statement)
        )
        self.processes[process].questions.append(
            SimulatedProcess.Question(request: index, purpose: purpose, sentAt: self.now)
        )
        let isCut = self.processes[process].isCut
        let isLost = isCut || self.generator.chance(self.settings.badNetwork / 2)
        if isLost {
            self.schedule(.fail(request: index), of: process, in: self.generator.pick(1...self.silence))
            // What the kernel holds is sent when the link is back, although nobody waits for it any more.
            guard self.generator.chance(30) else { return }
            self.schedule(.arrive(request: index), in: self.generator.pick(1...2 * self.settings.lease))
        } else {
            self.schedule(.arrive(request: index), in: self.delay())
        }
    }

    private mutating func delay() -> Int {
        self.generator.chance(self.settings.badNetwork)
            ? self.generator.pick(1...(self.isCalm ? 50 : self.settings.lease)) : self.generator.pick(0...8)
    }

    // MARK: At the server

    mutating func arrive(_ index: Int) {
        guard self.database.isUp else { return self.refuse(index) }
        if case .renew(_, .held(let session), _) = self.requests[index].statement,
            !self.database.sessions[session].isOpen
        {
            return self.refuse(index)
        }
        if case .lockSession(_, let session) = self.requests[index].statement, !self.database.sessions[session].isOpen {
            return self.refuse(index)
        }
        self.requests[index].boot = self.database.boots
        self.begin(index)
    }

    private mutating func begin(_ index: Int) {
        guard let transaction = self.database.begin(self.requests[index].statement, now: self.now) else {
            self.blocked.append(index)
            // What is written of one workflow does not wait longer, and is repeated.
            switch self.requests[index].statement {
            case .checkpoint, .outcome, .handBack, .startDirectly:
                self.schedule(.lockTimeout(request: index), in: 1000)
            default: break
            }
            return
        }
        self.requests[index].transaction = transaction
        // Of a client that was cut off in the middle of a transaction of several messages, the rest never comes.
        let isMany =
            switch self.requests[index].statement {
            case .checkpoint, .outcome, .handBack, .startDirectly, .leave, .join: true
            default: false
            }
        let process = self.requests[index].process
        self.requests[index].hangs = isMany && self.processes[process].isCut && self.generator.chance(30)
        self.schedule(
            .commit(request: index),
            in: self.requests[index].hangs
                ? self.silence
                : self.generator.pick(0...(self.generator.chance(self.settings.badNetwork / 4) ? 500 : 5))
        )
    }

    mutating func commit(_ index: Int) {
        // A server that went down took it with it.
        guard let transaction = self.requests[index].transaction, self.requests[index].boot == self.database.boots
        else {
            return
        }
        self.requests[index].transaction = nil
        if self.requests[index].hangs {
            self.database.release(transaction)
            self.refuse(index)
        } else {
            let (processes, now, long) = (self.processes, self.now, self.settings.selfStop)
            self.requests[index].answer = self.database.commit(transaction, now: now, judge: &self.judge) { life in
                let process = processes[life.process]
                return process.state == .running && !process.isCut && !process.isDraining
                    && process.liveness.isMember && now - process.troubledAt > long
            }
            self.reply(index)
        }
        // Whoever waits looks again.
        let waiting = self.blocked
        self.blocked = []
        for request in waiting where self.requests[request].boot == self.database.boots { self.begin(request) }
    }

    mutating func giveUpLock(_ index: Int) {
        guard let place = self.blocked.firstIndex(of: index) else { return }
        self.blocked.remove(at: place)
        self.refuse(index)
    }

    private mutating func reply(_ index: Int) {
        let process = self.requests[index].process
        if self.processes[process].isCut || self.generator.chance(self.settings.badNetwork / 2) {
            // It did happen, but the client will not know.
            self.schedule(.fail(request: index), of: process, in: self.generator.pick(1...self.silence))
        } else {
            self.schedule(.answer(request: index), of: process, in: self.delay())
        }
    }

    private mutating func refuse(_ index: Int) {
        let process = self.requests[index].process
        self.schedule(
            .fail(request: index),
            of: process,
            in: self.processes[process].isCut ? self.generator.pick(1...self.silence) : self.delay()
        )
    }

    /// The server goes down and takes everything with it that is not committed.
    ///
    /// - Parameter recovers: Whether it only recovers from the crash of a backend: then its start time stays.
    mutating func stopServer(for duration: Int, recovers: Bool = false) {
        self.database.isUp = false
        self.database.boots += 1
        if !recovers { self.database.epoch += 1 }
        for index in self.requests.indices {
            guard let transaction = self.requests[index].transaction else { continue }
            self.database.release(transaction)
            self.requests[index].transaction = nil
            self.refuse(index)
        }
        for index in self.blocked { self.refuse(index) }
        self.blocked = []
        for session in self.database.sessions.indices { self.endSession(session) }
        self.schedule(.serverUp(boot: self.database.boots), in: duration)
    }

    // MARK: At the client

    /// Takes the question an answer is for, unless its connection was given up, or somebody has said already that it failed.
    private mutating func take(_ index: Int) -> SimulatedProcess.Question? {
        let process = self.requests[index].process
        guard self.requests[index].connections == self.processes[process].connections,
            let place = self.processes[process].questions.firstIndex(where: { $0.request == index })
        else { return nil }
        return self.processes[process].questions.remove(at: place)
    }

    mutating func answered(_ index: Int) {
        guard let answer = self.requests[index].answer, let question = self.take(index) else { return }
        self.answered(answer, to: question, self.requests[index].process)
    }

    mutating func failed(_ index: Int) {
        guard let question = self.take(index) else { return }
        self.failed(question.purpose, self.requests[index].process)
    }

    /// Gives up all connections: whatever was asked has failed.
    mutating func abandonConnections(_ process: Int) {
        self.processes[process].connections += 1
        let questions = self.processes[process].questions
        self.processes[process].questions = []
        if let session = self.processes[process].session, !self.processes[process].isCut { self.endSession(session) }
        self.loseSession(process)
        for question in questions { self.failed(question.purpose, process) }
    }
}
