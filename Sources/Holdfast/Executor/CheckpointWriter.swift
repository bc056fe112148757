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
///
/// A batch that waits in vain for somebody's lock, or that the database keeps refusing, is set aside and picked apart, so that
/// nobody waits behind the row that is to blame.
final class CheckpointWriter: Sendable {
    /// The largest batch: beyond a few hundred rows a batch's share of the commit is nothing, but its latency is not.
    static let maximumCount = 500
    static let maximumBytes = 8 << 20
    /// How long a batch waits for a lock, while nothing is set aside: everybody waits with it. Afterwards it waits as shortly as
    /// what is set aside: who holds many rows would be waited for at each of them.
    private static let patience: Duration = .seconds(1)
    /// How often a batch is sent again that the server refuses for a reason that may pass.
    private static let repeats = 3

    let database: SystemDatabase
    let applicationName: String?
    let retries: Bool
    let faults: ProcessFaults?
    let logger: Logger
    private let batches = Mutex(
        BatchMachine<Entry>(maximumCount: maximumCount, maximumBytes: maximumBytes)
    )
    let aside = Mutex(AsideMachine<Entry>())
    let asideChanged = WakeSignal()
    /// Counts the fences: what an execution asked for before a fence is not written after it.
    let fences = Atomic<Int>(0)

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
    func fence() {
        self.fences.add(1, ordering: .acquiringAndReleasing)
        self.asideChanged.wake()
    }

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
            let isAside = self.aside.withLock { aside in
                guard aside.holds(entry.subject) else { return false }
                // Tended already, by whoever set the first of its subject aside.
                _ = aside.add([entry])
                return true
            }
            if isAside { return }
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
        let answers = await Task { await self.commit(batch) }.value
        guard let answers else {
            let signal = await withCheckedContinuation { (waiter: CheckedContinuation<Signal, Never>) in
                var batch = batch
                batch[0].waiter = waiter
                self.setAside(batch)
                self.passOn()
            }
            guard case .answer(let result) = signal else { preconditionFailure("who is set aside leads nothing") }
            return result
        }
        self.passOn()
        for (entry, answer) in zip(batch, answers).dropFirst() {
            entry.waiter.resume(returning: .answer(answer))
        }
        return answers[0]
    }

    private func passOn() {
        if case .handOver(let next) = self.batches.withLock({ $0.committed() }) {
            next[0].waiter.resume(returning: .lead(next))
        }
    }

    /// - Returns: `nil`: the batch must be set aside.
    private func commit(_ batch: [Entry]) async -> [Result<Answer, any Error>]? {
        var attempt = 0
        let writes = self.faults == nil ? [] : batch.compactMap(\.request.write)
        if self.faults?.dies(at: writes, .before) == true { return self.buried(batch) }
        while true {
            if self.faults?.isDead == true { return self.buried(batch) }
            let fence = self.fences.load(ordering: .acquiring)
            // Who was fenced is told so there, and the others go on.
            if batch.contains(where: { $0.isFenced(by: fence) }) { return nil }
            do throws(PostgresError) {
                let patience = self.aside.withLock { $0.isTended } ? Self.shortPatience : Self.patience
                let answers = try await self.send(batch.map(\.request), patience: patience)
                if self.faults?.dies(at: writes, .after) == true { return self.buried(batch) }
                return answers
            } catch {
                switch self.consequence(of: error, attempt: attempt, count: batch.count) {
                case .failure: return batch.map { _ in .failure(error) }
                case .setAside:
                    self.logger.warning(
                        "the database did not take a batch; it is picked apart",
                        metadata: ["error": "\(error)", "requests": "\(batch.count)"]
                    )
                    return nil
                case .repetition:
                    // Tokens and completion times were chosen before, so a batch that did commit is recognised as ours.
                    self.logger.warning(
                        "the database did not take a batch; trying again",
                        metadata: ["error": "\(error)", "attempt": "\(attempt + 1)", "requests": "\(batch.count)"]
                    )
                    await self.pause(Backoff.database.delay(attempt: attempt), fence: fence)
                    attempt += 1
                }
            }
        }
    }

    private enum Consequence { case repetition, setAside, failure }

    private func consequence(of error: PostgresError, attempt: Int, count: Int) -> Consequence {
        // Nobody fares better as long as there is no database.
        if error.isTransient { return self.retries ? .repetition : .failure }
        if error.isLockTimeout { return .setAside }
        if self.retries, error.isWorthRepeating { return attempt < Self.repeats ? .repetition : .setAside }
        return count > 1 ? .setAside : .failure
    }

    /// What callers hear in a process that a test has killed.
    private func buried(_ entries: [Entry]) -> [Result<Answer, any Error>] {
        entries.map { _ in .failure(ExecutionMachine.Interruption(reason: .killed)) }
    }

    /// Waits in short slices, so that a fence takes effect soon.
    private func pause(_ duration: Duration, fence: Int) async {
        let end = ContinuousClock.now.advanced(by: duration)
        while ContinuousClock.now < end, self.fences.load(ordering: .acquiring) == fence {
            try? await Task.sleep(for: min(.milliseconds(100), end - ContinuousClock.now))
        }
    }
}
