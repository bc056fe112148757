// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

extension Membership {
    func renew() async {
        while !Task.isCancelled {
            if self.state.withLock({ $0.machine.isReplaced }) { return }
            guard let member = self.member else {
                let (isLeaving, isBeingFenced) = self.state.withLock { ($0.isLeaving, $0.pendingFences > 0) }
                if isLeaving { return }
                if isBeingFenced {
                    await self.wake.wait(until: .now.advanced(by: self.configuration.heartbeat))
                } else {
                    await self.joinAgain()
                }
                continue
            }
            let sentAt = ContinuousClock.now
            await self.handle(sentAt: sentAt) { () throws(PostgresError) in try await self.renewOnce(member) }
            let pause = self.configuration.heartbeat * Double.random(in: 0.9...1.0)
            await self.wake.wait(until: sentAt.advanced(by: pause))
        }
    }

    private func renewOnce(_ member: Member) async throws(PostgresError) -> RenewalReport {
        if self.state.withLock({ $0.holdsSession }), let session = self.session {
            self.state.withLock { $0.askedSessionAt = .now }
            defer { self.state.withLock { $0.askedSessionAt = nil } }
            do throws(PostgresError) {
                return try self.database.readRenewal(try await session.execute(self.query(member, hasSession: true)))
            } catch  where error.isTransient {
                // The session is gone; the pool can still renew, and says that there is no session to watch.
                self.logger.debug("renewing without the lease session", metadata: ["error": "\(error)"])
            }
        }
        return try await self.renewThroughPool(member, hasSession: false)
    }

    private func renewThroughPool(_ member: Member, hasSession: Bool?) async throws(PostgresError) -> RenewalReport {
        let query = self.query(member, hasSession: hasSession)
        return try self.database.readRenewal(try await self.database.pool.execute(query))
    }

    private func query(_ member: Member, hasSession: Bool?) -> PostgresQuery {
        self.database.renewQuery(
            member,
            // What holds a slot: a workflow that sleeps or awaits a child must not make the executor look full.
            running: self.host.running.counts().active,
            isDraining: self.state.withLock { $0.isDraining },
            hasSession: hasSession
        )
    }

    /// How many renewals may be under way beside the regular one.
    private static let maxHedges = 3

    /// Renews through the pool as well while a renewal gets no answer, once a heartbeat. One connection may be dead although the
    /// others are not; and when a network comes back, each connection tries again at moments of its own, which lie further apart
    /// the longer it has tried.
    func hedge() async {
        let heartbeat = self.configuration.heartbeat
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                // A stopped process does not look at its clock.
                await self.host.faults?.untilThawed()
                let now = ContinuousClock.now
                let (member, due) = self.state.withLock { state in
                    let due = (state.renewedAt ?? now).advanced(by: heartbeat * 2)
                    guard due <= now, state.machine.isMember, !state.isLeaving, state.hedges < Self.maxHedges,
                        let member = state.member
                    else { return (nil as Member?, due) }
                    state.hedges += 1
                    return (member, due)
                }
                if let member { group.addTask { await self.renewBeside(member) } }
                try? await Task.sleep(until: max(due, now.advanced(by: heartbeat)), clock: .continuous)
            }
        }
    }

    /// A session that has not answered for a self-stop is given up, but not before the database knows that there is none: peers
    /// would take its end for a death.
    private func renewBeside(_ member: Member) async {
        defer { self.state.withLock { $0.hedges -= 1 } }
        let sentAt = ContinuousClock.now
        let isSessionSilent = self.state.withLock { state in
            state.askedSessionAt.map { sentAt - $0 > self.configuration.selfStop } ?? false
        }
        let isRenewed = await self.handle(sentAt: sentAt) { () throws(PostgresError) in
            try await self.renewThroughPool(member, hasSession: isSessionSilent ? false : nil)
        }
        if isRenewed, isSessionSilent { self.session?.abandonConnection() }
    }

    /// - Returns: Whether there was an answer.
    @discardableResult
    private func handle(
        sentAt: ContinuousClock.Instant,
        _ renewal: () async throws(PostgresError) -> RenewalReport
    ) async -> Bool {
        do throws(PostgresError) {
            let report = try await renewal()
            self.host.metrics.renewed(took: .now - sentAt)
            self.handle(report, sentAt: sentAt)
            return true
        } catch {
            self.host.metrics.renewalFailed()
            self.logger.warning("the lease could not be renewed", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func handle(_ report: RenewalReport, sentAt: ContinuousClock.Instant) {
        guard !self.state.withLock({ $0.isLeaving }) else { return }
        let now = ContinuousClock.now
        let jump = self.host.databaseClock.answered(report.serverTime, sentAt: sentAt, receivedAt: now)
        if abs(jump.inSeconds) > self.configuration.heartbeat.inSeconds {
            self.logger.warning("the database's clock was set", metadata: ["by": "\(jump)"])
        }
        let (action, judgement) = self.state.withLock { state in
            let action = state.decided(state.machine.answered(report.answer, sentAt: sentAt, now: now))
            self.host.renewed(selfStopAt: state.machine.selfStopAt)
            if case .renewed = report.answer { state.renewedAt = max(sentAt, state.renewedAt ?? sentAt) }
            state.machine.databaseClockWasSet(
                by: jump,
                uncertainty: self.host.databaseClock.uncertainty,
                now: now
            )
            return (action, state.machine.judgement(now: now))
        }
        self.perform(action, because: "the database says that this incarnation is over")
        guard action == .none, let judgement else { return }
        let suspects = judgement.fair(report.suspects)
        if !suspects.isEmpty { self.findings.yield(.suspects(suspects)) }
        if report.isDrainRequested { self.events.onDrainRequested() }
        if !report.unreclaimed.isEmpty { self.findings.yield(.unreclaimed(report.unreclaimed)) }
    }
}
