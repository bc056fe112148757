// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging

/// Buries peers that are gone and puts their work back into its queues, in bounded batches.
///
/// The `ReclaimMachine` decides; this performs. All healthy executors of the dead one's version share the load through `SKIP LOCKED`; there is no leader. A reclaim
/// that dies half-way is finished by the next: the dead member stays listed until it owns nothing.
final class Reclaimer: Sendable {
    private static let batch = 500
    /// A suspect whose session is gone is looked at again after this time: a live process takes its lock again at once.
    private static let confirmation: Duration = .milliseconds(150)

    private let host: ExecutionHost
    private let membership: Membership
    private let heartbeat: Duration
    private let quarantineAfter: Int?
    private let findings: AsyncStream<ReclaimMachine.Finding>
    /// Called with the queues that work came back to.
    private let onReturned: @Sendable ([String]) -> Void
    private let logger: Logger

    init(
        host: ExecutionHost,
        membership: Membership,
        heartbeat: Duration,
        quarantineAfter: Int?,
        findings: AsyncStream<ReclaimMachine.Finding>,
        onReturned: @escaping @Sendable ([String]) -> Void
    ) {
        self.host = host
        self.membership = membership
        self.heartbeat = heartbeat
        self.quarantineAfter = quarantineAfter
        self.findings = findings
        self.onReturned = onReturned
        self.logger = host.logger
    }

    func run() async {
        for await finding in self.findings {
            do throws(PostgresError) {
                try await self.handle(finding)
            } catch {
                // Found again by the next renewal.
                self.logger.warning("a reclaim was interrupted", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Performs what the machine decides, until nothing is left to do for this finding.
    private func handle(_ finding: ReclaimMachine.Finding) async throws(PostgresError) {
        var machine = ReclaimMachine(
            confirmation: Self.confirmation,
            secondLook: self.heartbeat * 3 / 2,
            batch: Self.batch
        )
        var action = machine.found(finding, standing: self.membership.judgement)
        while true {
            switch action {
            case .finish:
                return
            case .lookAgain:
                return self.membership.lookAgain()
            case .wait(let duration):
                // Cancelled in a shutdown: others will look.
                guard (try? await Task.sleep(for: duration)) != nil else { return }
                action = machine.confirmed(standing: self.membership.judgement)
            case .declareDead(let suspects):
                let (ended, ours) = try await self.declareDead(suspects)
                action = machine.declared(ended, ours: ours, isMember: self.membership.member != nil)
            case .reclaim(let dead):
                guard let member = self.membership.member else { return }
                let count = try await self.reclaim(dead, by: member)
                action = machine.reclaimed(count, isMember: self.membership.member != nil)
            case .markReclaimed(let dead):
                try await self.host.database.markReclaimed(dead.map(\.incarnation))
                action = machine.marked()
            }
        }
    }

    /// - Returns: Those who were declared dead, and those among them that are of our version.
    private func declareDead(
        _ suspects: [ReclaimMachine.Suspect]
    ) async throws(PostgresError) -> (ended: [ReclaimMachine.Dead], ours: [ReclaimMachine.Dead]) {
        let ended = try await self.host.database.declareDead(
            suspects,
            by: self.host.identity.executorID.rawValue
        )
        for (dead, version) in ended {
            self.host.metrics.declaredDead(dead.reason)
            self.logger.warning(
                "an executor is gone",
                metadata: [
                    "executor": "\(dead.executorID)", "reason": "\(dead.reason)", "version": "\(version)",
                ]
            )
        }
        let ours = ended.filter { $0.version == self.host.identity.applicationVersion }
        return (ended.map(\.dead), ours.map(\.dead))
    }

    /// Puts one batch back.
    ///
    /// - Returns: How many workflows.
    private func reclaim(
        _ dead: [ReclaimMachine.Dead],
        by member: Member
    ) async throws(PostgresError) -> Int {
        let report = try await self.host.database.reclaim(
            dead,
            by: member,
            limit: Self.batch,
            quarantineAfter: self.quarantineAfter
        )
        let count = report.total
        if count > 0 {
            self.host.metrics.reclaimed(report)
            self.logger.notice(
                "took over the work of the dead",
                metadata: [
                    "workflows": "\(count)", "from": "\(dead.map(\.executorID).joined(separator: ", "))",
                    "delayed": "\(report.delayed)", "quarantined": "\(report.quarantined)",
                ]
            )
            self.onReturned(Array(report.requeued.keys))
        }
        if report.quarantined > 0 {
            self.logger.error(
                "executors keep dying under these workflows; they are given up until somebody resumes them",
                metadata: ["workflows": "\(report.quarantinedIDs)"]
            )
        }
        return count
    }
}
