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
        /// Whether the loop found every slot taken, so that a free one is news.
        var lacksSlot = false
        /// Claims whose answer was lost, and when.
        var lost: [(token: String, at: ContinuousClock.Instant)] = []
        var nextLostCheck = ContinuousClock.now
    }

    /// For so long after a claim's answer was lost its statement may still be under way in the database.
    private static let lostClaimLife: Duration = .seconds(60)

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

    /// A slot is free; worth knowing only while work is known to wait, or when there was none.
    func slotFreed() {
        if self.state.withLock({ $0.planner.expectsBacklog || $0.lacksSlot }) { self.wake.wake() }
    }

    /// No claim begins any more; what was claimed without an answer is still given back.
    func stop() {
        self.state.withLock { $0.isStopped = true }
        self.wake.wake()
    }

    func run() async {
        var failures = 0
        while !Task.isCancelled, self.state.withLock({ !$0.isStopped || !$0.lost.isEmpty }) {
            guard self.host.isOpen else {
                // Joining wakes this loop; the limit only guards against a lost wake-up.
                await self.wake.wait(until: .now.advanced(by: .seconds(1)))
                continue
            }
            let now = ContinuousClock.now
            do throws(PostgresError) {
                // Whether or not there is room for more, and also when no claim follows any more.
                let nextLook = try await self.handBackLost()
                if let pause = try await self.claimIfDue(now: now) {
                    await self.wake.wait(until: min(pause, nextLook ?? pause))
                }
                failures = 0
            } catch {
                self.logger.warning("a claim failed; trying again", metadata: ["error": "\(error)"])
                await self.wake.wait(until: now.advanced(by: Backoff.database.delay(attempt: failures)))
                failures += 1
            }
        }
    }

    /// - Returns: Until when there is nothing to do; `nil`: it has claimed.
    private func claimIfDue(now: ContinuousClock.Instant) async throws(PostgresError) -> ContinuousClock.Instant? {
        guard !self.state.withLock({ $0.isStopped }) else { return now.advanced(by: Self.lostClaimLife) }
        let (decision, demands, freeSlots) = self.decide(now: now)
        switch decision {
        case .wait(let moment):
            return moment
        case .claim:
            try await self.claim(demands, freeSlots: freeSlots)
            return nil
        }
    }

    private func decide(
        now: ContinuousClock.Instant
    ) -> (ClaimPacer.Decision, demands: [ClaimPlanner.Demand], freeSlots: Int) {
        let (running, byQueue) = self.host.running.counts()
        let demands = self.catalog.plain.map { row in
            ClaimPlanner.Demand(
                queue: row.name,
                workerConcurrency: row.workerConcurrency,
                running: byQueue[row.name] ?? 0
            )
        }
        let freeSlots = min(Self.batch, max(0, self.capacity - running))
        func sum(_ values: [Int]) -> Int { values.reduce(0) { min(Self.batch, $0 + min($1, Self.batch)) } }
        let decision = self.state.withLock { state in
            let backlog = state.planner.backlog(demands)
            state.lacksSlot = freeSlots == 0
            let limits = sum(backlog.map { $0.workerConcurrency ?? Self.batch })
            return state.pacer.decide(
                now: now,
                freeSlots: backlog.isEmpty ? freeSlots : min(freeSlots, sum(backlog.map(\.room))),
                worthwhile: max(1, min(self.capacity, limits) / 2),
                backlog: !backlog.isEmpty
            )
        }
        return (decision, demands, freeSlots)
    }

    private func claim(_ demands: [ClaimPlanner.Demand], freeSlots: Int) async throws(PostgresError) {
        let jitter = Double.random(in: 1.0...1.2)
        let budgets = self.state.withLock { state in
            state.pacer.claiming(now: .now, jitter: jitter)
            return state.planner.plan(demands, freeSlots: freeSlots)
        }
        guard !budgets.isEmpty, let token = self.host.nextToken() else { return }
        let claimed: [ClaimedWorkflow]
        do throws(PostgresError) {
            claimed = try await self.host.database.claim(
                budgets,
                scope: ClaimScope(
                    executorID: self.host.identity.executorID.rawValue,
                    applicationName: self.host.identity.applicationName,
                    applicationVersion: self.host.identity.applicationVersion,
                    workflowNames: self.host.registry.names
                ),
                token: token,
                now: self.host.clock.statementTime
            )
        } catch {
            self.state.withLock { state in
                state.lost.append((token, .now))
                state.nextLostCheck = .now
            }
            throw error
        }
        var counts: [String: Int] = [:]
        for work in claimed { counts[work.queue ?? "", default: 0] += 1 }
        self.state.withLock { $0.planner.claimed(counts, budgets: budgets) }
        for work in claimed { self.host.launch(work, token: token) }
    }

    /// A claim whose answer was lost may have been committed: then its workflows belong to this process, which lives, and
    /// which does not know of them. Nobody else would ever run them.
    ///
    /// - Returns: When to look for them next; `nil`: no answer was lost lately.
    private func handBackLost() async throws(PostgresError) -> ContinuousClock.Instant? {
        let (tokens, next) = self.state.withLock { ($0.lost.map(\.token), $0.nextLostCheck) }
        guard !tokens.isEmpty else { return nil }
        guard next <= .now else { return next }
        let startedAt = ContinuousClock.now
        let (found, count) = try await self.host.database.handBackClaims(
            tokens,
            executorID: self.host.identity.executorID.rawValue
        )
        let nextLook = self.state.withLock { state in
            state.nextLostCheck = startedAt.advanced(by: .seconds(1))
            if found == count { state.lost.removeAll { $0.at.advanced(by: Self.lostClaimLife) < startedAt } }
            if count > 0 { state.pacer.hint() }
            return state.lost.isEmpty ? nil : state.nextLostCheck
        }
        if count > 0 {
            self.host.metrics.handedBack(count)
            self.logger.notice(
                "handed back what was claimed without an answer from the database",
                metadata: ["workflows": "\(count)"]
            )
        }
        return nextLook
    }
}
