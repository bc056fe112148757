// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Logging

/// Runs one step that is not recorded yet: its attempts, then its checkpoint.
///
/// It holds no context, so that parallel steps can use it from their own tasks.
struct StepRun: Sendable {
    let execution: Execution
    let functionID: Int32
    let name: StepName
    let retry: StepRetry

    /// Runs `body`, records what it returned or threw, and hands back the decoded form of what was recorded, so that a live
    /// run sees exactly what a replay will see.
    func run<Result: Codable & Sendable>(
        declared: (any (Error & Codable).Type)? = nil,
        _ body: (StepContext) async throws -> Result
    ) async throws -> Result {
        if let faults = self.execution.host.faults {
            // A stopped process begins nothing.
            await faults.untilThawed()
            try self.execution.admit()
            faults.stepBegins(self.execution.workflowID, StepID(self.functionID), self.name)
        }
        let startedAt = self.execution.now
        let started = ContinuousClock.now
        var attempt = 0
        var failures: [any Error] = []
        while true {
            attempt += 1
            try self.execution.beginStep()
            let ended: (record: RecordedStep, retryable: (any Error)?)
            do {
                ended = try await self.attempt(attempt, body)
            } catch {
                self.execution.endStep()
                throw error
            }
            if let error = ended.retryable, attempt < self.retry.maxAttempts, self.retry.shouldRetry(error) {
                // The wait is no step under way: a shutdown need not sit it out.
                if failures.count == Self.rememberedFailures { failures.removeFirst() }
                failures.append(error)
                self.execution.endStep()
                try await self.wait(beforeRetry: attempt - 1, after: error)
                continue
            }
            var record = ended.record
            if let error = ended.retryable, self.retry.maxAttempts > 1, attempt >= self.retry.maxAttempts {
                record.error = self.text(of: self.exhausted(failures + [error], attempts: attempt))
            }
            defer { self.execution.endStep() }
            try await self.record(record, startedAt: startedAt)
            self.execution.host.metrics.stepCompleted(self.name, failed: record.error != nil, took: .now - started)
            if let error = record.error { throw RecordedError.parsed(error, declared: declared) }
            return try WorkflowContext.decode(record.output ?? "null", step: record, of: self.execution.workflowID)
        }
    }

    /// One attempt. Throws only what must not be recorded.
    private func attempt<Result: Encodable>(
        _ attempt: Int,
        _ body: (StepContext) async throws -> Result
    ) async throws -> (record: RecordedStep, retryable: (any Error)?) {
        var record = RecordedStep(functionID: self.functionID, name: self.name.rawValue)
        let result: Result
        do {
            result = try await body(
                StepContext(
                    workflowID: self.execution.workflowID,
                    id: StepID(self.functionID),
                    name: self.name,
                    attempt: attempt
                )
            )
        } catch {
            // A cancelled step is not a failed one: it leaves no row and runs again.
            if Task.isCancelled, let abandonment = self.execution.abandonment { throw abandonment }
            record.error = self.text(of: PortableErrorPayload(error))
            return (record, error)
        }
        do {
            record.output = try self.execution.host.encode(
                result,
                of: "workflow '\(self.execution.workflowID)', step \(self.functionID) '\(self.name)'"
            )
            return (record, nil)
        } catch {
            // The same value would be refused again: recorded at once, whatever the retry policy.
            record.error = self.text(of: PortableErrorPayload(error))
            return (record, nil)
        }
    }

    private func wait(beforeRetry attempt: Int, after error: any Error) async throws {
        let backoff = Backoff(base: self.retry.interval, factor: self.retry.factor, cap: self.retry.maxInterval)
        let delay = backoff.delay(attempt: attempt)
        self.execution.logger.info(
            "a step failed and will be tried again",
            metadata: ["step": "\(self.functionID) \(self.name)", "error": "\(error)", "delay": "\(delay)"]
        )
        do {
            try await self.execution.host.clock.sleep(for: delay, deadline: self.execution.deadline)
        } catch {
            throw self.execution.mapped(error)
        }
    }

    /// So many of the last failures are recorded when all attempts fail.
    private static let rememberedFailures = 100

    private func text(of payload: PortableErrorPayload) -> String {
        payload.text(limit: self.execution.host.limits.maxBytes)
    }

    private func exhausted(_ failures: [any Error], attempts: Int) -> PortableErrorPayload {
        let last = failures.last.map { PortableErrorPayload($0) }
        return PortableErrorPayload(
            HoldfastError(
                .stepRetriesExceeded,
                "step \(self.functionID) '\(self.name)' failed \(attempts) times; the last error was "
                    + "\(last?.name ?? "unknown"): \(last?.message ?? "")"
            ),
            data: .array(failures.map { PortableErrorPayload($0).value })
        )
    }

    private func record(_ step: RecordedStep, startedAt: Int64) async throws {
        try await self.execution.record(
            CheckpointRow(
                workflowID: self.execution.workflowID.rawValue,
                token: self.execution.token,
                functionID: step.functionID,
                name: step.name,
                output: step.output,
                error: step.error,
                childWorkflowID: nil,
                serialization: "portable_json",
                startedAt: startedAt,
                completedAt: self.execution.now
            )
        )
    }
}
