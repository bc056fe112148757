// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// The one claimer of a process: it claims for all plain queues in one statement, as much as there is room for.
final class Claimer: Sendable {
    /// The most workflows one claim takes, so that no executor hoards a backlog.
    static let batch = 200

    private struct State {
        var planner = ClaimPlanner()
        var pacer: ClaimPacer
        var isStopped = false
    }

    private let host: ExecutionHost
    private let catalog: QueueCatalog
    private let capacity: Int
    private let logger: Logger
    private let state: Mutex<State>
    private let wake = WakeSignal()

    init(host: ExecutionHost, catalog: QueueCatalog, capacity: Int, pollInterval: Duration) {
        self.host = host
        self.catalog = catalog
        self.capacity = capacity
        self.logger = host.logger
        self.state = Mutex(State(pacer: ClaimPacer(pollInterval: pollInterval)))
    }

    /// Work has arrived, or this process may claim again.
    func hint() {
        self.state.withLock { $0.pacer.hint() }
        self.wake.wake()
    }

    /// A slot is free; worth knowing only while work is known to wait.
    func slotFreed() {
        if self.state.withLock({ $0.planner.expectsBacklog }) { self.wake.wake() }
    }

    /// No claim begins any more.
    func stop() {
        self.state.withLock { $0.isStopped = true }
        self.wake.wake()
    }

    func run() async {
        var failures = 0
        while !Task.isCancelled, !self.state.withLock({ $0.isStopped }) {
            let demand = self.demand()
            let now = ContinuousClock.now
            let decision = self.state.withLock { state in
                state.pacer.decide(
                    now: now,
                    freeSlots: demand.claimable,
                    worthwhile: demand.worthwhile,
                    backlog: state.planner.expectsBacklog
                )
            }
            switch decision {
            case .wait(let moment):
                await self.wake.wait(until: moment)
            case .claim:
                do throws(PostgresError) {
                    try await self.claim(demand)
                    failures = 0
                } catch {
                    self.logger.warning("a claim failed; trying again", metadata: ["error": "\(error)"])
                    await self.wake.wait(until: now.advanced(by: Backoff.database.delay(attempt: failures)))
                    failures += 1
                }
            }
        }
    }

    private struct Demand {
        var queues: [ClaimPlanner.Demand]
        /// How many workflows a claim can take now.
        var claimable: Int
        /// From how many a claim is worth its statement while there is a backlog.
        var worthwhile: Int
    }

    private func demand() -> Demand {
        let (running, byQueue) = self.host.running.counts()
        let queues = self.catalog.plain.map { row in
            ClaimPlanner.Demand(
                queue: row.name,
                workerConcurrency: row.workerConcurrency,
                running: byQueue[row.name] ?? 0
            )
        }
        let free = min(Self.batch, max(0, self.capacity - running))
        func sum(_ values: [Int]) -> Int { values.reduce(0) { min($0 + min($1, Self.batch), Self.batch) } }
        let room = sum(queues.map { $0.workerConcurrency.map { limit in max(0, limit) } ?? Self.batch })
        return Demand(
            queues: queues,
            claimable: free,
            worthwhile: max(1, min(Self.batch, self.capacity, room) / 2)
        )
    }

    private func claim(_ demand: Demand) async throws(PostgresError) {
        let jitter = Double.random(in: 0.9...1.1)
        let budgets = self.state.withLock { state in
            state.pacer.claiming(now: .now, jitter: jitter)
            return state.planner.plan(demand.queues, freeSlots: demand.claimable)
        }
        // Without a token this process is no member; joining gives a hint.
        guard !budgets.isEmpty, let token = self.host.nextToken() else { return }
        let claimed = try await self.host.database.claim(
            budgets,
            scope: ClaimScope(
                executorID: self.host.identity.executorID.rawValue,
                applicationName: self.host.identity.applicationName,
                applicationVersion: self.host.identity.applicationVersion,
                workflowNames: self.host.registry.names
            ),
            token: token,
            now: epochMillisecondsNow()
        )
        var counts: [String: Int] = [:]
        for work in claimed { counts[work.queue ?? "", default: 0] += 1 }
        self.state.withLock { $0.planner.claimed(counts, budgets: budgets) }
        for work in claimed { self.host.launch(work, token: token) }
    }
}
