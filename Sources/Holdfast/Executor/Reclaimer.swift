// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging

/// Buries peers that are gone and puts their work back into its queues, in bounded batches.
///
/// All healthy executors of the dead one's version share the load through `SKIP LOCKED`; there is no leader. A reclaim
/// that dies half-way is finished by the next: the dead member stays listed until it owns nothing.
final class Reclaimer: Sendable {
    private static let batch = 500
    /// A suspect whose session is gone is looked at again after this time: a live process takes its lock again at once.
    private static let confirmation: Duration = .milliseconds(150)

    private let host: ExecutionHost
    private let membership: Membership
    private let quarantineAfter: Int?
    private let findings: AsyncStream<Membership.Finding>
    /// Called with the queues that work came back to.
    private let onReturned: @Sendable ([String]) -> Void
    private let logger: Logger

    init(
        host: ExecutionHost,
        membership: Membership,
        quarantineAfter: Int?,
        findings: AsyncStream<Membership.Finding>,
        onReturned: @escaping @Sendable ([String]) -> Void
    ) {
        self.host = host
        self.membership = membership
        self.quarantineAfter = quarantineAfter
        self.findings = findings
        self.onReturned = onReturned
        self.logger = host.logger
    }

    func run() async {
        for await finding in self.findings {
            do {
                switch finding {
                case .suspects(let suspects, let mayJudgeLeases, let mayJudgeSessions):
                    try await self.bury(
                        suspects,
                        mayJudgeLeases: mayJudgeLeases,
                        mayJudgeSessions: mayJudgeSessions
                    )
                case .unreclaimed(let dead):
                    try await self.reclaim(dead)
                }
            } catch {
                // Found again by the next renewal.
                self.logger.warning("a reclaim was interrupted", metadata: ["error": "\(error)"])
            }
        }
    }

    private func bury(
        _ suspects: [RenewalReport.Peer],
        mayJudgeLeases: Bool,
        mayJudgeSessions: Bool
    ) async throws {
        guard self.membership.member != nil else { return }
        if suspects.contains(where: { !$0.isLeaseExpired }) { try await Task.sleep(for: Self.confirmation) }
        // The finding may be old: what was a fair judgement then need not be one after an outage.
        let judgement = self.membership.judgement()
        let ended = try await self.host.database.declareDead(
            suspects.map(\.incarnation),
            by: self.host.identity.executorID.rawValue,
            mayJudgeLeases: mayJudgeLeases && judgement.leases,
            mayJudgeSessions: mayJudgeSessions && judgement.sessions
        )
        guard !ended.isEmpty else { return }
        for (dead, version) in ended {
            self.logger.warning(
                "an executor is gone",
                metadata: [
                    "executor": "\(dead.executorID)", "reason": "\(dead.reason)", "version": "\(version)",
                ]
            )
        }
        let ours = ended.filter { $0.version == self.host.identity.applicationVersion }
        if !ours.isEmpty { try await self.reclaim(ours.map(\.dead)) }
        self.membership.lookAgain()
    }

    private func reclaim(_ dead: [RenewalReport.Dead]) async throws {
        while let member = self.membership.member {
            let report = try await self.host.database.reclaim(
                dead,
                by: member,
                limit: Self.batch,
                quarantineAfter: self.quarantineAfter
            )
            let count = report.total
            if count > 0 {
                self.host.metrics.reclaimed(count)
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
            if count < Self.batch { break }
        }
        try await self.host.database.markReclaimed(dead.map(\.incarnation))
    }
}
