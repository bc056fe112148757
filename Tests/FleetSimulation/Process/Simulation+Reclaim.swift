// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// What `Reclaimer` does in a process: one finding at a time.
extension Simulation {
    mutating func found(_ finding: ReclaimMachine.Finding, _ process: Int) {
        self.processes[process].findings.append(finding)
        self.nextFinding(process)
    }

    private mutating func nextFinding(_ process: Int) {
        guard !self.processes[process].isReclaiming, !self.processes[process].findings.isEmpty else { return }
        self.processes[process].isReclaiming = true
        let finding = self.processes[process].findings.removeFirst()
        let action = self.processes[process].reclaiming.found(finding, standing: self.judgement(process))
        self.perform(action, process)
    }

    mutating func confirm(_ process: Int) {
        let action = self.processes[process].reclaiming.confirmed(standing: self.judgement(process))
        self.perform(action, process)
    }

    mutating func declared(_ ended: [Int], _ process: Int) {
        let dead = ended.map(self.dead)
        let isMember = self.processes[process].isMember
        self.perform(self.processes[process].reclaiming.declared(dead, ours: dead, isMember: isMember), process)
    }

    mutating func reclaimed(_ count: Int, _ process: Int) {
        if count > 0 { for peer in self.processes.indices { self.hint(peer) } }
        let isMember = self.processes[process].isMember
        self.perform(self.processes[process].reclaiming.reclaimed(count, isMember: isMember), process)
    }

    mutating func marked(_ process: Int) { self.perform(self.processes[process].reclaiming.marked(), process) }

    /// A statement failed: found again by the next renewal.
    mutating func reclaimFailed(_ process: Int) {
        self.processes[process].isReclaiming = false
        self.nextFinding(process)
    }

    private mutating func perform(_ action: ReclaimMachine.Action, _ process: Int) {
        switch action {
        case .finish:
            self.processes[process].isReclaiming = false
            self.nextFinding(process)
        case .lookAgain:
            self.processes[process].isReclaiming = false
            self.renewSoon(process, in: 0)
            self.nextFinding(process)
        case .wait(let duration):
            self.timer(.confirm, of: process, in: Int(duration / .milliseconds(1)))
        case .declareDead(let suspects):
            let suspicions = suspects.map {
                Suspicion(
                    life: self.life($0.incarnation),
                    leaseEnd: Int($0.lease) ?? 0,
                    isLeaseExpired: $0.isLeaseExpired,
                    isOverdue: $0.isOverdue,
                    isSessionGone: $0.isSessionGone
                )
            }
            self.send(.declareDead(suspicions), from: process, for: .declaration)
        case .reclaim(let dead):
            self.send(.reclaim(dead.map { self.life($0.incarnation) }, limit: 3), from: process, for: .reclaim)
        case .markReclaimed(let dead):
            self.send(.markReclaimed(dead.map { self.life($0.incarnation) }), from: process, for: .mark)
        }
    }

    private func life(_ incarnation: String) -> Int {
        guard let life = self.database.lives.firstIndex(where: { $0.incarnation.text == incarnation }) else {
            preconditionFailure("no life is called \(incarnation)")
        }
        return life
    }
}
