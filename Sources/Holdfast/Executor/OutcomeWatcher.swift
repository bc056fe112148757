// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging
import Synchronization

/// Waits for workflows to settle, for all callers of this process together.
///
/// Workflows that end here wake their waiters at once. For the others one poller asks for all awaited ids in one
/// statement; it begins at 20 ms and slows down to the polling interval while nothing settles. There is no notification
/// of completion in the data model.
final class OutcomeWatcher: Sendable {
    private struct State {
        var waiters: [String: [UInt64: CheckedContinuation<SettledWorkflow, any Error>]] = [:]
        var nextID: UInt64 = 0
        var isPolling = false
        var hasNewWaiter = false
    }

    private let database: SystemDatabase
    private let retries: Bool
    private let interval: Duration
    private let logger: Logger
    private let state = Mutex(State())
    private let wake = WakeSignal()

    /// - Parameter retries: Whether it asks again after every refusal that may pass, as an executor must: a parent that is told of
    ///   it has failed for good, whatever becomes of the child. Otherwise only after trouble with the connection.
    init(database: SystemDatabase, retries: Bool, interval: Duration = .seconds(1), logger: Logger) {
        self.database = database
        self.retries = retries
        self.interval = interval
        self.logger = logger
    }

    /// A workflow has ended in this process.
    func settled(_ workflow: SettledWorkflow) {
        let waiters = self.state.withLock { $0.waiters.removeValue(forKey: workflow.workflowID) }
        for waiter in waiters?.values ?? [:].values { waiter.resume(returning: workflow) }
    }

    /// Returns when the workflow has settled; throws `CancellationError` when the caller's task is cancelled.
    ///
    /// - Parameter runsHere: Whether the workflow runs in this process, so that its end wakes the waiter. The database is
    ///   then asked only after a whole interval, for the case that somebody else ends it.
    func outcome(of workflowID: String, runsHere: Bool) async throws -> SettledWorkflow {
        let id = self.state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<SettledWorkflow, any Error>) in
                let startsPoller = self.state.withLock { state -> Bool? in
                    if Task.isCancelled { return nil }
                    state.waiters[workflowID, default: [:]][id] = waiter
                    if !runsHere { state.hasNewWaiter = true }
                    defer { state.isPolling = true }
                    return !state.isPolling
                }
                guard let startsPoller else { return waiter.resume(throwing: CancellationError()) }
                if startsPoller {
                    // The poller lives exactly as long as somebody waits: `poll` returns when no waiter is left, and each
                    // waiter leaves when it is answered or cancelled.
                    Task { await self.poll() }
                } else if !runsHere {
                    self.wake.wake()
                }
            }
        } onCancel: {
            let waiter = self.state.withLock { state in
                let waiter = state.waiters[workflowID]?.removeValue(forKey: id)
                if state.waiters[workflowID]?.isEmpty == true { state.waiters[workflowID] = nil }
                return waiter
            }
            waiter?.resume(throwing: CancellationError())
            self.wake.wake()
        }
    }

    private static let shortestInterval: Duration = .milliseconds(20)

    private func poll() async {
        var interval = Self.shortestInterval
        if !self.state.withLock({ $0.hasNewWaiter }) {
            await self.wake.wait(until: ContinuousClock.now.advanced(by: self.interval))
        }
        while true {
            let ids: [String]? = self.state.withLock { state in
                if state.waiters.isEmpty {
                    state.isPolling = false
                    return nil
                }
                if state.hasNewWaiter { interval = Self.shortestInterval }
                state.hasNewWaiter = false
                return Array(state.waiters.keys)
            }
            guard let ids else { return }
            do throws(PostgresError) {
                let (settled, missing) = try await self.database.settled(ids)
                for workflow in settled { self.settled(workflow) }
                for id in missing {
                    self.fail([id], HoldfastError(.nonExistentWorkflow, "no workflow has the id '\(id)' any more"))
                }
            } catch  where self.retries ? error.isWorthRepeating : error.isTransient {
                self.logger.warning("cannot ask for results; trying again", metadata: ["error": "\(error)"])
                interval = self.interval
            } catch {
                self.fail(ids, HoldfastError(error, doing: "asking for a workflow's result"))
            }
            if self.state.withLock({ $0.waiters.isEmpty }) { continue }
            let deadline = ContinuousClock.now.advanced(by: interval)
            await self.wake.wait(until: deadline)
            // A new waiter must not turn into a poll per waiter: the shortest interval always passes between two polls.
            try? await Task.sleep(
                until: min(deadline, ContinuousClock.now.advanced(by: Self.shortestInterval)),
                clock: .continuous
            )
            interval = min(interval * 2, self.interval)
        }
    }

    private func fail(_ ids: [String], _ error: HoldfastError) {
        let waiters = self.state.withLock { state in
            ids.flatMap { id in state.waiters.removeValue(forKey: id).map { Array($0.values) } ?? [] }
        }
        for waiter in waiters { waiter.resume(throwing: error) }
    }
}
