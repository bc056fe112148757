// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// The group commit: it gathers the starts, checkpoints, outcomes and hand-backs of everything that runs in this process.
///
/// A batch is one pipelined round trip and one transaction. Each row is fenced on its own, so one workflow's conflict never
/// fails another's. A call returns only after its batch committed. There is no background task: whoever finds nobody
/// committing leads the commit, and passes the lead on to a caller of the next batch.
final class CheckpointWriter: Sendable {
    enum Request: Sendable {
        case start(StartRow)
        case checkpoint(CheckpointRow)
        case outcome(OutcomeRow)
        case handBack(Owner)
    }

    enum Answer: Sendable {
        /// `nil`: the parent lost its workflow, nothing was stored.
        case started(StoredWorkflow?)
        case checkpoint(CheckpointResult)
        case outcome(isWritten: Bool)
        case handedBack
    }

    private enum Signal: Sendable {
        case answer(Result<Answer, any Error>)
        case lead([Entry])
    }

    private struct Entry: Batchable {
        let request: Request
        let fence: Int
        let waiter: CheckedContinuation<Signal, Never>

        func isFenced(by fence: Int) -> Bool {
            if case .start(let row) = self.request, row.parent == nil { return false }
            return self.fence != fence
        }

        var exclusionKey: String? {
            switch self.request {
            case .start(let row): row.workflowID
            // An execution that lost its workflow and its successor may be in this process at once, at the same step.
            case .checkpoint(let row): "\(row.workflowID)#\(row.functionID)"
            case .outcome, .handBack: nil
            }
        }

        var byteCount: Int {
            switch self.request {
            case .start(let row): row.inputs.utf8.count + 512
            case .checkpoint(let row): (row.output ?? row.error ?? "").utf8.count + 256
            case .outcome(let row): (row.output ?? row.error ?? "").utf8.count + 128
            case .handBack: 128
            }
        }
    }

    /// The largest batch: beyond a few hundred rows a batch's share of the commit is nothing, but its latency is not.
    private static let maximumCount = 500
    private static let maximumBytes = 8 << 20

    private let database: SystemDatabase
    private let applicationName: String?
    private let retries: Bool
    private let faults: ProcessFaults?
    private let logger: Logger
    private let batches = Mutex(
        BatchMachine<Entry>(maximumCount: maximumCount, maximumBytes: maximumBytes)
    )
    /// Counts the fences: what an execution asked for before a fence is not written after it.
    private let fences = Atomic<Int>(0)

    /// - Parameter retries: Whether transient database errors are retried without end, as an executor must.
    init(
        database: SystemDatabase,
        applicationName: String?,
        retries: Bool,
        faults: ProcessFaults? = nil,
        logger: Logger
    ) {
        self.database = database
        self.applicationName = applicationName
        self.retries = retries
        self.faults = faults
        self.logger = logger
    }

    /// Nothing is written any more on behalf of the executions of this moment, also not by calls that are waiting for the
    /// database to come back. Starts without a parent are not theirs and go on.
    func fence() { self.fences.add(1, ordering: .acquiringAndReleasing) }

    func start(_ row: StartRow) async throws -> StoredWorkflow? {
        guard case .started(let stored) = try await self.submit(.start(row)) else {
            preconditionFailure("wrong answer")
        }
        return stored
    }

    func record(_ row: CheckpointRow) async throws -> CheckpointResult {
        guard case .checkpoint(let result) = try await self.submit(.checkpoint(row)) else {
            preconditionFailure("wrong answer")
        }
        return result
    }

    /// - Returns: Whether the outcome was written; `false` means that somebody else owns the workflow.
    func finish(_ row: OutcomeRow) async throws -> Bool {
        guard case .outcome(let isWritten) = try await self.submit(.outcome(row)) else {
            preconditionFailure("wrong answer")
        }
        return isWritten
    }

    func handBack(_ owner: Owner) async throws { _ = try await self.submit(.handBack(owner)) }

    private func submit(_ request: Request) async throws -> Answer {
        let fence = self.fences.load(ordering: .acquiring)
        let signal = await withCheckedContinuation { (waiter: CheckedContinuation<Signal, Never>) in
            let entry = Entry(request: request, fence: fence, waiter: waiter)
            let action = self.batches.withLock { $0.submit(entry) }
            if case .lead(let batch) = action { waiter.resume(returning: .lead(batch)) }
        }
        switch signal {
        case .answer(let result): return try result.get()
        case .lead(let batch): return try await self.lead(batch).get()
        }
    }

    /// Commits a batch whose first entry is the caller's, wakes the others, and returns the caller's answer.
    private func lead(_ batch: [Entry]) async -> Result<Answer, any Error> {
        // A task of its own, awaited right here: the caller's may be cancelled, and the others' rows must not suffer.
        let answers = await Task { await self.commit(batch[...]) }.value
        if case .handOver(let next) = self.batches.withLock({ $0.committed() }) {
            next[0].waiter.resume(returning: .lead(next))
        }
        for (entry, answer) in zip(batch, answers).dropFirst() {
            entry.waiter.resume(returning: .answer(answer))
        }
        return answers[0]
    }

    private func commit(_ entries: ArraySlice<Entry>) async -> [Result<Answer, any Error>] {
        var attempt = 0
        let writes = self.faults == nil ? [] : entries.compactMap(\.request.write)
        if self.faults?.dies(at: writes, .before) == true { return self.buried(entries) }
        while true {
            if self.faults?.isDead == true { return self.buried(entries) }
            let fence = self.fences.load(ordering: .acquiring)
            if entries.contains(where: { $0.isFenced(by: fence) }) {
                return await self.commitUnfenced(entries, fence: fence)
            }
            do throws(PostgresError) {
                let answers = try await self.send(entries.map(\.request))
                if self.faults?.dies(at: writes, .after) == true { return self.buried(entries) }
                return answers
            } catch  where error.isWorthRepeating && self.retries {
                // Tokens and completion times were chosen before, so a batch that did commit is recognised as ours.
                self.logger.warning(
                    "the database did not take a batch; trying again",
                    metadata: ["error": "\(error)", "attempt": "\(attempt + 1)", "requests": "\(entries.count)"]
                )
                await self.pause(Backoff.database.delay(attempt: attempt), fence: fence)
                attempt += 1
            } catch  where entries.count > 1 && !error.isTransient {
                // One row is to blame: alone, each gets its own answer.
                var answers: [Result<Answer, any Error>] = []
                for index in entries.indices { answers += await self.commit(entries[index...index]) }
                return answers
            } catch {
                return entries.map { _ in .failure(error) }
            }
        }
    }

    /// What callers hear in a process that a test has killed.
    private func buried(_ entries: ArraySlice<Entry>) -> [Result<Answer, any Error>] {
        entries.map { _ in .failure(ExecutionMachine.Interruption(reason: .killed)) }
    }

    /// Refuses what a fence has ended and commits the rest.
    private func commitUnfenced(_ entries: ArraySlice<Entry>, fence: Int) async -> [Result<Answer, any Error>] {
        var answers: [Result<Answer, any Error>] = []
        for index in entries.indices {
            if entries[index].isFenced(by: fence) {
                answers.append(.failure(ExecutionMachine.Interruption(reason: .selfFenced)))
            } else {
                answers += await self.commit(entries[index...index])
            }
        }
        return answers
    }

    private func send(_ requests: [Request]) async throws(PostgresError) -> [Result<Answer, any Error>] {
        var starts: [(Int, StartRow)] = []
        var checkpoints: [(Int, CheckpointRow)] = []
        var outcomes: [(Int, OutcomeRow)] = []
        var handBacks: [(Int, Owner)] = []
        for (index, request) in requests.enumerated() {
            switch request {
            case .start(let row): starts.append((index, row))
            case .checkpoint(let row): checkpoints.append((index, row))
            case .outcome(let row): outcomes.append((index, row))
            case .handBack(let owner): handBacks.append((index, owner))
            }
        }
        var queries: [PostgresQuery] = []
        if !starts.isEmpty { queries.append(self.database.startQuery(starts.map(\.1))) }
        if !checkpoints.isEmpty {
            queries.append(
                self.database.checkpointQuery(checkpoints.map(\.1), applicationName: self.applicationName)
            )
        }
        if !outcomes.isEmpty { queries.append(self.database.outcomeQuery(outcomes.map(\.1))) }
        if !handBacks.isEmpty { queries.append(self.database.handBackQuery(handBacks.map(\.1))) }

        var results = try await self.database.pool.pipeline(queries)[...]
        var answers = [Result<Answer, any Error>](repeating: .success(.handedBack), count: requests.count)
        func assign<T>(_ rows: [(Int, T)], _ values: [Answer]) {
            for ((index, _), value) in zip(rows, values) { answers[index] = .success(value) }
        }
        if !starts.isEmpty {
            let stored = try self.database.readStarted(results.removeFirst(), count: starts.count)
            assign(starts, stored.map { .started($0) })
        }
        if !checkpoints.isEmpty {
            let recorded = try self.database.readCheckpoints(results.removeFirst(), of: checkpoints.map(\.1))
            assign(checkpoints, recorded.map { .checkpoint($0) })
        }
        if !outcomes.isEmpty {
            let written = try self.database.readOutcomes(results.removeFirst(), count: outcomes.count)
            assign(outcomes, written.map { .outcome(isWritten: $0) })
        }
        return answers
    }

    /// Waits in short slices, so that a fence takes effect soon.
    private func pause(_ duration: Duration, fence: Int) async {
        let end = ContinuousClock.now.advanced(by: duration)
        while ContinuousClock.now < end, self.fences.load(ordering: .acquiring) == fence {
            try? await Task.sleep(for: min(.milliseconds(100), end - ContinuousClock.now))
        }
    }
}
