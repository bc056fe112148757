// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

extension Membership {
    /// Joins as a new incarnation; the first attempt that fails for good throws. Once a member, a process whose slot was given
    /// to another meanwhile does not join any more: it stops for good.
    func join() async throws(PostgresError) {
        // A server that has fallen silent would be waited for without end. Cancelled when the answer is there.
        let limit = Task {
            try await Task.sleep(for: self.configuration.selfStop)
            self.abandonConnections()
        }
        defer { limit.cancel() }
        let incarnation = Incarnation()
        let identity = self.host.identity
        let (began, life) = try await self.nextLife()
        let member = Member(
            incarnation: incarnation,
            began: began,
            life: life,
            executorID: identity.executorID.rawValue,
            applicationName: identity.applicationName,
            applicationVersion: identity.applicationVersion,
            host: HostName.current,
            pid: HostName.processID,
            capacity: self.configuration.maxConcurrentWorkflows,
            workflows: self.host.registry.names,
            queues: self.configuration.queueSelection.listed,
            leaseMilliseconds: self.configuration.lease.inMilliseconds
        )
        let sentAt = ContinuousClock.now
        let report = try await self.database.join(member)
        self.host.databaseClock.answered(report.serverTime, sentAt: sentAt, receivedAt: .now)
        guard report.hasJoined else {
            let action = self.state.withLock { $0.machine.refused() }
            return self.perform(action, because: "its slot belongs to a process that began later")
        }
        let (isInTime, isLeaving) = self.state.withLock { state in
            state.machine.joined(sentAt: sentAt, now: .now, serverEpoch: report.serverEpoch)
            state.member = member
            state.renewedAt = sentAt
            state.holdsSession = false
            state.machine.sessionClosed()
            // An answer that took longer than the self-stop opens nothing; the loop joins once more.
            guard state.machine.tick(now: .now) == .none else { return (false, state.isLeaving) }
            self.host.renewed(selfStopAt: state.machine.selfStopAt)
            // Under the lock, so that the next fence comes after it.
            if !state.isLeaving { self.host.open(incarnation) }
            return (true, state.isLeaving)
        }
        guard isInTime else { return }
        if isLeaving {
            // The shutdown found no member that could leave.
            return self.host.returned(try await self.database.leave(member))
        }
        self.clockWake.wake()
        self.logger.info(
            "joined the fleet",
            metadata: ["incarnation": "\(incarnation)", "superseded": "\(report.others.count)"]
        )
        for other in report.others where other.isAlive {
            self.logger.warning(
                "another live process ran in this slot and stops now; give each executor an executorID of its own",
                metadata: ["host": "\(other.host)", "pid": "\(other.pid)"]
            )
        }
        self.events.onJoined()
    }

    /// Each attempt is a life of its own: its answer may be lost, and it may arrive after the next one.
    private func nextLife() async throws(PostgresError) -> (began: Int64, life: Int32) {
        var began = self.state.withLock { $0.began }
        if began == nil { began = try await self.database.nextBeginning() }
        return self.state.withLock { state in
            let place = state.began ?? began ?? 0
            state.began = place
            state.lives += 1
            return (place, state.lives)
        }
    }

    func joinAgain() async {
        var attempt = 0
        while !Task.isCancelled, !self.state.withLock({ $0.isLeaving }) {
            do throws(PostgresError) {
                try await self.join()
                await self.takeSessionLock()
                return
            } catch {
                self.logger.warning("cannot join the fleet; trying again", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Backoff.database.delay(attempt: attempt))
            attempt += 1
        }
    }
}
