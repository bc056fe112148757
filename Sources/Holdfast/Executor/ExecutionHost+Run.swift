// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Tracing

extension ExecutionHost {
    /// Runs a workflow that carries `token`; when the process is shutting down it is handed back instead, and also when the
    /// token is of an earlier incarnation: peers may take such work away at any moment, or may have stopped looking for it.
    func launch(_ work: ClaimedWorkflow, token: String) {
        let execution = Execution(
            workflowID: WorkflowID(work.workflowID),
            name: WorkflowName(work.name),
            queue: work.queue,
            deadline: work.deadline,
            token: token,
            host: self
        )
        let isAdmitted = self.isCurrent(token) && self.running.run(execution) { await self.perform(execution, work) }
        guard isAdmitted else { return self.running.runUncounted { await self.handBack(execution) } }
        // A fence in between has closed what it knew of.
        guard !self.isCurrent(token) else { return }
        execution.close(.selfFenced)
        self.running.release(execution)
    }

    /// From the claim to the outcome:
    /// 1. a workflow that was dispatched too often is given up;
    /// 2. the journal is loaded, if there is one;
    /// 3. the code runs;
    /// 4. parallel steps it left behind are cancelled and awaited;
    /// 5. the slot is given up, before the outcome: who sees the outcome may start the next at once;
    /// 6. the outcome is written, unless the execution was interrupted.
    private func perform(_ execution: Execution, _ work: ClaimedWorkflow) async {
        let started = ContinuousClock.now
        self.metrics.started(execution.name)
        defer { self.running.release(execution) }
        guard let workflow = self.registry.workflows[work.name] else {
            execution.logger.error(
                "this workflow is not registered here; it stays with this executor until it restarts"
            )
            return
        }
        if let limit = workflow.options.maxRecoveryAttempts, work.recoveryAttempts - 1 > limit {
            return await self.giveUp(execution, attempts: work.recoveryAttempts)
        }
        let result = await self.result(of: workflow, execution, work)
        await execution.endBranches()
        let interruption = execution.finish()
        self.running.release(execution)
        if let interruption {
            self.metrics.interrupted(execution.name, interruption)
            execution.logger.info("interrupted", metadata: ["reason": "\(interruption.sentence)"])
            if interruption == .shutdown { await self.handBack(execution) }
            return
        }
        if let refusal = await self.write(result, of: execution) {
            return self.metrics.interrupted(execution.name, refusal)
        }
        self.metrics.finished(execution.name, failed: result.isFailure, took: .now - started)
    }

    private func result(
        of workflow: RegisteredWorkflow,
        _ execution: Execution,
        _ work: ClaimedWorkflow
    ) async -> Result<String, any Error> {
        do {
            guard !execution.workflowID.isBlank else {
                throw HoldfastError(.invalidArgument, "the workflow's id is blank; enqueue it under another")
            }
            var recorded: [RecordedStep] = []
            if work.hasCheckpoints {
                recorded = try await self.retrying("reading the journal of '\(work.workflowID)'") {
                    database throws(PostgresError) in try await database.journal(of: work.workflowID)
                }
            }
            let journal = Journal(recorded: recorded)
            return .success(
                try await WorkflowContext.$currentID.withValue(execution.workflowID) {
                    try await withSpan("workflow \(execution.name)") { span in
                        span.attributes["workflow.id"] = execution.workflowID.rawValue
                        let context = WorkflowContext(execution: execution, journal: journal)
                        let output = try await workflow.run(work.inputs, context)
                        try self.limits.check(output, of: "workflow '\(execution.workflowID)' (\(execution.name))")
                        return output
                    }
                }
            )
        } catch {
            return .failure(error)
        }
    }

    /// - Returns: Why the outcome does not count; `nil`: it is written.
    private func write(_ result: Result<String, any Error>, of execution: Execution) async -> InterruptionReason? {
        var outcome = OutcomeRow(
            workflowID: execution.workflowID.rawValue,
            token: execution.token,
            status: .success,
            output: nil,
            error: nil
        )
        switch result {
        case .success(let output):
            outcome.output = output
        case .failure(let error):
            outcome.status = .error
            outcome.error = PortableErrorPayload(error).text(limit: self.limits.maxBytes)
            execution.logger.notice("the workflow failed", metadata: ["error": "\(error)"])
        }
        do {
            guard try await self.writer.finish(outcome) else {
                execution.logger.info("another executor owns the workflow now; its outcome counts")
                return .lostOwnership
            }
        } catch let interruption as ExecutionMachine.Interruption {
            execution.logger.info("the outcome is not written", metadata: ["reason": "\(interruption.reason.sentence)"])
            return interruption.reason
        } catch {
            await self.writeFallback(error, of: execution)
            return nil
        }
        self.outcomes.settled(
            SettledWorkflow(
                workflowID: outcome.workflowID,
                status: outcome.status,
                output: outcome.output,
                error: outcome.error,
                serialization: "portable_json"
            )
        )
        return nil
    }

    /// The database refuses the outcome itself: the workflow must not stay `PENDING` with an executor that lives.
    private func writeFallback(_ error: any Error, of execution: Execution) async {
        let failure = HoldfastError(
            .database,
            "workflow '\(execution.workflowID)' ended, but the database refused its outcome: \(error)"
        )
        execution.logger.error("\(failure.message)")
        let outcome = OutcomeRow(
            workflowID: execution.workflowID.rawValue,
            token: execution.token,
            status: .error,
            output: nil,
            error: PortableErrorPayload(failure).text()
        )
        do { _ = try await self.writer.finish(outcome) } catch {
            execution.logger.critical("the workflow has no outcome", metadata: ["error": "\(error)"])
        }
    }

    private func giveUp(_ execution: Execution, attempts: Int) async {
        _ = execution.finish()
        do {
            let isGivenUp = try await self.retrying("giving up '\(execution.workflowID)'") {
                database throws(PostgresError) in
                try await database.deadLetter(execution.workflowID.rawValue, token: execution.token)
            }
            if isGivenUp {
                execution.logger.error(
                    "dispatched too often without an outcome; given up until somebody resumes it",
                    metadata: ["attempts": "\(attempts)"]
                )
                self.metrics.deadLettered(execution.name)
            }
        } catch {
            execution.logger.error("could not be given up", metadata: ["error": "\(error)"])
        }
    }

    /// Work of this executor went back to its queues.
    func returned(_ counts: [String: Int]) {
        self.metrics.handedBack(counts.values.reduce(0, +))
        self.notifier.notify(counts.keys)
    }

    private func handBack(_ execution: Execution) async {
        do {
            try await self.writer.handBack(execution.owner)
            self.returned([execution.queue ?? SystemDatabase.internalQueue: 1])
        } catch {
            execution.logger.warning(
                "could not be handed back; a peer will reclaim it",
                metadata: ["error": "\(error)"]
            )
        }
    }
}

extension Result {
    fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}
