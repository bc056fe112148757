// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// The background jobs of every second: due delays and deadlines, the list of queues, and what no longer belongs to us.
final class Housekeeper: Sendable {
    private let host: ExecutionHost
    private let catalog: QueueCatalog
    private let onWork: @Sendable () -> Void
    private let logger: Logger
    private let lastAnswer = Mutex<ContinuousClock.Instant?>(nil)

    /// When the database last answered.
    var answeredAt: ContinuousClock.Instant? { self.lastAnswer.withLock { $0 } }

    init(host: ExecutionHost, catalog: QueueCatalog, onWork: @escaping @Sendable () -> Void) {
        self.host = host
        self.catalog = catalog
        self.onWork = onWork
        self.logger = host.logger
    }

    func run() async {
        var rota = HousekeepingRota()
        var lockKey: Int64?
        while !Task.isCancelled {
            do throws(PostgresError) {
                switch rota.next() {
                case .pruning: try await self.host.database.prune()
                case .strandedCheck: try await self.reportStranded()
                case .orphanCheck: try await self.reviewEnded()
                case .refresh: try await self.catalog.refresh()
                case .sweep:
                    let application = self.host.identity.applicationName
                    let key: Int64
                    if let known = lockKey {
                        key = known
                    } else {
                        key = try await self.host.database.sweepLockKey(applicationName: application)
                        lockKey = key
                    }
                    try await self.sweep(key)
                }
                self.lastAnswer.withLock { $0 = .now }
            } catch {
                self.logger.warning("housekeeping failed; trying again", metadata: ["error": "\(error)"])
            }
            do throws(PostgresError) {
                try await self.closeWhatIsNotOurs()
            } catch {
                self.logger.warning("ownership could not be checked; trying again", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: self.host.clock.sweepInterval * Double.random(in: 1.0...1.1))
        }
    }

    /// Work that waits for a version nobody runs is never silent.
    private func reportStranded() async throws(PostgresError) {
        let application = self.host.identity.applicationName
        let stranded = try await self.host.database.strandedWork(applicationName: application)
        self.host.metrics.stranded(stranded)
        for work in stranded {
            // A successor of this very executor may be about to start.
            if self.host.running.isDraining, work.version == self.host.identity.applicationVersion { continue }
            self.logger.warning(
                "open work belongs to a version without live executors; start one, or re-pin the work",
                metadata: ["version": "\(work.version ?? "any")", "workflows": "\(work.workflows)"]
            )
        }
    }

    /// The next renewal of any peer sees those that own work again and has them reclaimed. The others are off the list for good.
    private func reviewEnded() async throws(PostgresError) {
        let count = try await self.host.database.reviewEnded(
            applicationName: self.host.identity.applicationName
        )
        guard count > 0 else { return }
        self.logger.notice("ended executors own work again; it is taken over", metadata: ["executors": "\(count)"])
    }

    private func sweep(_ lockKey: Int64) async throws(PostgresError) {
        var report: SweepReport
        repeat {
            report = try await self.host.database.sweep(
                lockKey: lockKey,
                applicationName: self.host.identity.applicationName,
                now: self.host.clock.due
            )
            if report.expired > 0 {
                self.logger.info("deadlines passed", metadata: ["workflows": "\(report.expired)"])
            }
            if !report.promotedQueues.isEmpty {
                self.host.notifier.notify(report.promotedQueues)
                self.onWork()
            }
        } while max(report.expired, report.promoted) == SystemDatabase.sweepLimit
    }

    /// Ends executions whose workflow was cancelled, resumed, deleted or taken over. Their writes would be refused anyway;
    /// this spares the work.
    private func closeWhatIsNotOurs() async throws(PostgresError) {
        let executions = self.host.running.owners()
        guard !executions.isEmpty else { return }
        let byOwner = Dictionary(executions.map { ($0.owner, $0) }, uniquingKeysWith: { first, _ in first })
        for (owner, status) in try await self.host.database.notOwned(Array(byOwner.keys)) {
            guard let execution = byOwner[owner] else { continue }
            execution.close(status == .cancelled ? .cancelled : .lostOwnership)
            self.host.running.release(execution)
        }
    }
}
