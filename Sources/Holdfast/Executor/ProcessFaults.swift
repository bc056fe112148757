// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
package import HoldfastPostgres
import Synchronization

/// One thing an executor writes of a workflow's run.
package struct DurableWrite: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// The workflow itself, started from outside.
        case start
        /// A child and its parent's record of it.
        case childStart(WorkflowID)
        /// What an operation returned or threw.
        case checkpoint
        /// What the workflow returned or threw.
        case outcome
    }

    package var kind: Kind
    /// For a child's start, the parent.
    package var workflowID: WorkflowID
    /// The number of the operation; 0 when it is none.
    package var functionID: Int32
    /// The operation's name, or the workflow's.
    package var name: String
}

/// Does to an executor in a test what otherwise only the operating system does to its process: kills it, at any moment or at
/// a chosen point of a workflow, or stops it for a while. In production no executor has one.
///
/// What cannot be done to a part of a process: the workflow's own code is cancelled, but it runs on if it does not heed that;
/// and what it keeps in global variables survives.
package final class ProcessFaults: Sendable {
    /// Before a write is sent, or after it was committed and before anybody hears of it.
    package enum Moment: Sendable, Hashable { case before, after }

    private struct State {
        var isDead = false
        var onDeath: [@Sendable () -> Void] = []
        var mourners: [CheckedContinuation<Void, Never>] = []
    }

    package let wires = Wires()
    private let diesAt: @Sendable (DurableWrite, Moment) -> Bool
    private let onStep: @Sendable (WorkflowID, StepID, StepName) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - diesAt: Asked at each write; `true` kills the process there and then.
    ///   - onStep: Called whenever the code of a step begins to run, its retries not counted.
    package init(
        diesAt: @escaping @Sendable (DurableWrite, Moment) -> Bool = { _, _ in false },
        onStep: @escaping @Sendable (WorkflowID, StepID, StepName) -> Void = { _, _, _ in }
    ) {
        self.diesAt = diesAt
        self.onStep = onStep
    }

    package var isDead: Bool { self.state.withLock { $0.isDead } }

    /// Kills the process: its connections close at once, nothing more is written, and nothing begins.
    package func kill() {
        let (actions, mourners) = self.state.withLock { state in
            state.isDead = true
            defer {
                state.onDeath = []
                state.mourners = []
            }
            return (state.onDeath, state.mourners)
        }
        self.wires.cut()
        for action in actions { action() }
        for mourner in mourners { mourner.resume() }
    }

    /// The server's processes that served this one.
    package var sessions: [Int32] { self.wires.processIDs }

    package func freeze() { self.wires.freeze() }

    package func thaw() { self.wires.thaw() }

    /// Returns when the process is dead.
    package func untilDead() async {
        await withCheckedContinuation { waiter in
            let isDead = self.state.withLock { state in
                if !state.isDead { state.mourners.append(waiter) }
                return state.isDead
            }
            if isDead { waiter.resume() }
        }
    }

    // MARK: For the executor

    /// Returns at once unless the process is stopped.
    func untilThawed() async { await self.wires.untilThawed() }

    func onDeath(_ action: @escaping @Sendable () -> Void) {
        let isDead = self.state.withLock { state in
            if !state.isDead { state.onDeath.append(action) }
            return state.isDead
        }
        if isDead { action() }
    }

    func stepBegins(_ workflowID: WorkflowID, _ id: StepID, _ name: StepName) { self.onStep(workflowID, id, name) }

    /// - Returns: Whether the process is dead, perhaps since this very moment.
    func dies(at writes: [DurableWrite], _ moment: Moment) -> Bool {
        if self.isDead { return true }
        // All are asked: whoever counts wants to hear of each.
        let isFatal = writes.map { self.diesAt($0, moment) }.contains(true)
        if isFatal { self.kill() }
        return isFatal
    }
}

extension CheckpointWriter.Request {
    /// What a test may choose as the point of a death.
    var write: DurableWrite? {
        switch self {
        case .start(let row):
            guard let parent = row.parent else {
                return DurableWrite(kind: .start, workflowID: WorkflowID(row.workflowID), functionID: 0, name: row.name)
            }
            return DurableWrite(
                kind: .childStart(WorkflowID(row.workflowID)),
                workflowID: WorkflowID(parent.workflowID),
                functionID: parent.functionID,
                name: row.name
            )
        case .checkpoint(let row):
            return DurableWrite(
                kind: .checkpoint,
                workflowID: WorkflowID(row.workflowID),
                functionID: row.functionID,
                name: row.name
            )
        case .outcome(let row):
            return DurableWrite(kind: .outcome, workflowID: WorkflowID(row.workflowID), functionID: 0, name: "")
        case .handBack:
            return nil
        }
    }
}
