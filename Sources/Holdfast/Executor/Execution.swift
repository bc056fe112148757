// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// One attempt to run one workflow in this process, and everything its context may ask of the process.
final class Execution: Sendable {
    let workflowID: WorkflowID
    let name: WorkflowName
    let queue: String?
    let deadline: Int64?
    let token: String
    let host: ExecutionHost
    /// Set when this run only compares the record with the code.
    let check: ReplayCheck?
    let logger: Logger

    private struct State {
        var machine = ExecutionMachine()
        var isCancelled = false
        /// `run` has ended; what its parallel steps still do counts no more.
        var isEnding = false
        /// The task that runs the workflow, and those of its parallel steps. All of them are awaited: the first by the
        /// registry of running workflows, the others by the first.
        var tasks: [Task<Void, Never>] = []
        var branches: [Task<Void, Never>] = []
    }

    private let state = Mutex(State())

    init(
        workflowID: WorkflowID,
        name: WorkflowName,
        queue: String?,
        deadline: Int64?,
        token: String,
        host: ExecutionHost,
        check: ReplayCheck? = nil
    ) {
        self.check = check
        self.workflowID = workflowID
        self.name = name
        self.queue = queue
        self.deadline = deadline
        self.token = token
        self.host = host
        var logger = host.logger
        logger[metadataKey: "workflow.id"] = "\(workflowID)"
        logger[metadataKey: "workflow.name"] = "\(name)"
        self.logger = logger
    }

    /// Now by the database's clock, in milliseconds since 1970.
    var now: Int64 { self.host.databaseClock.now }

    var owner: Owner { Owner(workflowID: self.workflowID.rawValue, token: self.token) }

    var interruption: InterruptionReason? { self.state.withLock { $0.machine.interruption } }

    // MARK: Tasks

    func attach(_ task: Task<Void, Never>) {
        let isCancelled = self.state.withLock { state in
            state.tasks.append(task)
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }

    func attachBranch(_ task: Task<Void, Never>) {
        let isCancelled = self.state.withLock { state in
            state.branches.append(task)
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }

    /// Cancels and awaits the parallel steps that `run` left behind.
    func endBranches() async {
        let branches = self.state.withLock { state in
            state.isEnding = true
            defer { state.branches = [] }
            return state.branches
        }
        for branch in branches { branch.cancel() }
        for branch in branches { await branch.value }
    }

    // MARK: Life

    func drain(_ reason: InterruptionReason) { self.apply { $0.drain(reason) } }

    func close(_ reason: InterruptionReason) { self.apply { $0.close(reason) } }

    /// `run` has ended. Returns the reason if what it returned must be discarded.
    func finish() -> InterruptionReason? { self.state.withLock { $0.machine.finish() } }

    private func apply(_ transition: (inout ExecutionMachine) -> ExecutionMachine.Action) {
        let tasks: [Task<Void, Never>] = self.state.withLock { state in
            guard case .cancelTask = transition(&state.machine) else { return [] }
            state.isCancelled = true
            return state.tasks + state.branches
        }
        for task in tasks { task.cancel() }
    }

    // MARK: Operations

    func admit() throws {
        do {
            try self.state.withLock { state throws(ExecutionMachine.Interruption) in try state.machine.admit() }
        } catch {
            throw self.interrupted(error.reason)
        }
    }

    func beginStep() throws {
        if !self.host.mayBeginSteps(now: .now) { self.close(.selfFenced) }
        do {
            try self.state.withLock { state throws(ExecutionMachine.Interruption) in try state.machine.beginStep() }
        } catch {
            throw self.interrupted(error.reason)
        }
        if let abandonment = self.abandonment {
            self.endStep()
            throw abandonment
        }
    }

    /// Why a step whose task is cancelled is no failed one, if it is none: then it leaves no record.
    var abandonment: (any Error)? {
        let (reason, isEnding) = self.state.withLock { ($0.machine.interruption, $0.isEnding) }
        if let reason { return self.interrupted(reason) }
        return isEnding && Task.isCancelled ? CancellationError() : nil
    }

    func endStep() { self.apply { $0.endStep() } }

    /// Writes one checkpoint, or ends the execution.
    func record(_ row: CheckpointRow) async throws {
        guard self.state.withLock({ $0.machine.mayRecordSteps }) else {
            throw self.interrupted(self.interruption ?? .lostOwnership)
        }
        let result: CheckpointResult
        do {
            result = try await self.host.writer.record(row)
        } catch let error as ExecutionMachine.Interruption {
            self.close(error.reason)
            throw self.interrupted(error.reason)
        } catch let error as PostgresError {
            throw HoldfastError(
                error,
                doing: "recording step \(row.functionID) '\(row.name)' of workflow '\(self.workflowID)'"
            )
        }
        switch result {
        case .recorded:
            return
        case .lostOwnership:
            self.close(.lostOwnership)
            throw self.interrupted(.lostOwnership)
        case .conflict:
            throw HoldfastError(
                .stepNondeterminism,
                "workflow '\(self.workflowID)', step \(row.functionID) '\(row.name)': another operation is recorded under "
                    + "this number; durable operations must be called in the same order on every run"
            )
        }
    }

    /// The reason, as user code sees it, unless the task's cancellation came from outside.
    func interrupted(_ reason: InterruptionReason) -> WorkflowInterruption {
        WorkflowInterruption(workflowID: self.workflowID, reason: reason.sentence)
    }

    /// Turns an error thrown while waiting into the interruption that caused it.
    func mapped(_ error: any Error) -> any Error {
        if let reason = self.interruption { return self.interrupted(reason) }
        return error
    }
}

extension InterruptionReason {
    var sentence: String {
        switch self {
        case .lostOwnership: "another executor owns it now"
        case .cancelled: "it was cancelled"
        case .shutdown: "the executor is shutting down; the workflow goes back to its queue"
        case .checked: "the record ends here; this run only checked it"
        case .selfFenced: "the executor could not renew its lease in time"
        case .killed: "the test killed its executor"
        }
    }
}
