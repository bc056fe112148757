// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// Keeps this process a member of the fleet: it joins, renews its lease, watches its next peers, and stops what runs here
/// before its own lease can expire.
///
/// Who owns what: the `LivenessMachine` decides, the host opens and closes the executions, the reclaimer buries peers.
final class Membership: Sendable {
    /// What the rest of the executor wants to hear.
    struct Events: Sendable {
        /// This process has joined, for the first time or again.
        var onJoined: @Sendable () -> Void
        /// Something was announced: a queue's name, or nothing particular.
        var onHint: @Sendable (String?) -> Void
        /// An operator wants this executor drained.
        var onDrainRequested: @Sendable () -> Void
        /// The slot belongs to a newer process.
        var onReplaced: @Sendable () -> Void
    }

    private struct State {
        var machine: LivenessMachine
        var member: Member?
        /// The place of this process in the order in which all began; drawn before it joins first.
        var began: Int64?
        /// How often it has tried to join.
        var lives: Int32 = 0
        var holdsSession = false
        var isDraining = false
        /// It is about to end its membership itself: it renews its lease until then, and joins no more.
        var isLeaving = false
        var renewedAt: ContinuousClock.Instant?
    }

    private let configuration: HoldfastExecutor.Configuration
    private let database: SystemDatabase
    private let host: ExecutionHost
    private let session: PostgresListener?
    private let findings: AsyncStream<ReclaimMachine.Finding>.Continuation
    private let events: Events
    private let logger: Logger
    private let state: Mutex<State>
    private let wake = WakeSignal()
    /// Woken by a join, which sets a new moment of self-stop.
    private let clockWake = WakeSignal()

    init(
        configuration: HoldfastExecutor.Configuration,
        host: ExecutionHost,
        session: PostgresListener?,
        findings: AsyncStream<ReclaimMachine.Finding>.Continuation,
        events: Events
    ) {
        self.configuration = configuration
        self.database = host.database
        self.host = host
        self.session = session
        self.findings = findings
        self.events = events
        self.logger = host.logger
        self.state = Mutex(
            State(
                machine: LivenessMachine(
                    heartbeat: configuration.heartbeat,
                    selfStop: configuration.selfStop,
                    lease: configuration.lease
                )
            )
        )
    }

    /// The present life of this process in the fleet.
    var member: Member? { self.state.withLock { $0.machine.isMember ? $0.member : nil } }

    /// Whether this process may own work, and when the last successful renewal was sent.
    var standing: (holdsLease: Bool, renewedAt: ContinuousClock.Instant?) {
        self.state.withLock { ($0.machine.holdsLease(now: .now), $0.renewedAt) }
    }

    /// What this executor may call a death at this moment; `nil`: it is no member.
    var judgement: ReclaimMachine.Judgement? {
        let now = ContinuousClock.now
        return self.state.withLock { $0.machine.judgement(now: now) }
    }

    func beginDrain() {
        self.state.withLock { $0.isDraining = true }
        self.wake.wake()
    }

    /// What renewals say of this executor counts no more: it may be that it has left.
    func beginLeave() { self.state.withLock { $0.isLeaving = true } }

    /// Looks at the peers again at once, because some of them were just found dead.
    func lookAgain() { self.wake.wake() }

    /// Gives up all connections: what was sent before is of no use any more, or gets no answer.
    func abandonConnections() {
        self.database.pool.abandonConnections()
        self.session?.abandonConnection()
    }

    /// Runs until cancelled or replaced. The caller must have joined once.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.renew() }
            group.addTask { await self.watchClock() }
            if let session = self.session {
                group.addTask { await session.run() }
                group.addTask { await self.follow(session) }
            }
        }
    }

    // MARK: Joining

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
        let isInTime = self.state.withLock { state in
            state.machine.joined(sentAt: sentAt, serverEpoch: report.serverEpoch)
            state.member = member
            state.renewedAt = sentAt
            state.holdsSession = false
            state.machine.sessionClosed()
            // An answer that took longer than the self-stop opens nothing; the loop joins once more.
            guard state.machine.tick(now: .now) == .none else { return false }
            self.host.renewed(selfStopAt: state.machine.selfStopAt)
            return true
        }
        guard isInTime else { return }
        if self.state.withLock({ $0.isLeaving }) {
            // The shutdown found no member that could leave.
            return self.host.returned(try await self.database.leave(member))
        }
        self.host.open(incarnation)
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

    private func joinAgain() async {
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

    // MARK: Renewing

    private func renew() async {
        while !Task.isCancelled {
            if self.state.withLock({ $0.machine.isReplaced }) { return }
            guard let member = self.member else {
                if self.state.withLock({ $0.isLeaving }) { return }
                await self.joinAgain()
                continue
            }
            let sentAt = ContinuousClock.now
            do throws(PostgresError) {
                let report = try await self.renewOnce(member)
                self.host.metrics.renewed(took: .now - sentAt)
                self.handle(report, sentAt: sentAt)
            } catch {
                self.host.metrics.renewalFailed()
                self.logger.warning("the lease could not be renewed", metadata: ["error": "\(error)"])
            }
            let pause = self.configuration.heartbeat * Double.random(in: 0.9...1.0)
            await self.wake.wait(until: sentAt.advanced(by: pause))
        }
    }

    private func renewOnce(_ member: Member) async throws(PostgresError) -> RenewalReport {
        let (isDraining, holdsSession) = self.state.withLock { ($0.isDraining, $0.holdsSession) }
        // What holds a slot: a workflow that sleeps or awaits a child must not make the executor look full.
        let running = self.host.running.counts().active
        if holdsSession, let session = self.session {
            do throws(PostgresError) {
                let query = self.database.renewQuery(
                    member,
                    running: running,
                    isDraining: isDraining,
                    hasSession: true
                )
                return try self.database.readRenewal(try await session.execute(query))
            } catch  where error.isTransient {
                // The session is gone; the pool can still renew, and says that there is no session to watch.
                self.logger.debug("renewing without the lease session", metadata: ["error": "\(error)"])
            }
        }
        let query = self.database.renewQuery(member, running: running, isDraining: isDraining, hasSession: false)
        return try self.database.readRenewal(try await self.database.pool.execute(query))
    }

    private func handle(_ report: RenewalReport, sentAt: ContinuousClock.Instant) {
        guard !self.state.withLock({ $0.isLeaving }) else { return }
        let now = ContinuousClock.now
        let jump = self.host.databaseClock.answered(report.serverTime, sentAt: sentAt, receivedAt: now)
        if abs(jump.inSeconds) > self.configuration.heartbeat.inSeconds {
            self.logger.warning("the database's clock was set", metadata: ["by": "\(jump)"])
        }
        let (action, judgement) = self.state.withLock { state in
            let action = state.machine.answered(report.answer, sentAt: sentAt, now: now)
            self.host.renewed(selfStopAt: state.machine.selfStopAt)
            if case .renewed = report.answer { state.renewedAt = sentAt }
            state.machine.databaseClockWasSet(
                by: jump,
                uncertainty: self.host.databaseClock.uncertainty,
                sentAt: sentAt
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

    /// Ticks the machine at the moment of self-stop, however long a renewal hangs.
    private func watchClock() async {
        while !Task.isCancelled {
            // A stopped process does not look at its clock.
            await self.host.faults?.untilThawed()
            let now = ContinuousClock.now
            let (action, next) = self.state.withLock { state in
                let action = state.machine.tick(now: now)
                return (action, state.machine.selfStopAt)
            }
            self.perform(
                action,
                because: "its lease could not be renewed for \(self.configuration.selfStop)",
                abandonsConnections: true
            )
            let wakeAt = next ?? now.advanced(by: self.configuration.heartbeat)
            await self.clockWake.wait(until: wakeAt)
        }
    }

    /// - Parameter abandonsConnections: Whether what was sent before is of no use any more: where it got no answer nothing else
    ///   will.
    private func perform(
        _ action: LivenessMachine.Action,
        because reason: String,
        abandonsConnections: Bool = false
    ) {
        switch action {
        case .none: return
        case .fence:
            self.logger.error("this executor stops its work and joins again", metadata: ["reason": "\(reason)"])
            self.host.fence()
            self.host.metrics.fenced()
            // Before it joins again: else the join would be given up, too.
            if abandonsConnections { self.abandonConnections() }
            self.wake.wake()
        case .stop:
            self.logger.critical("a newer process runs in this executor's slot; this one stops for good")
            self.host.fence()
            self.events.onReplaced()
        }
    }

    // MARK: The lease session

    private func follow(_ session: PostgresListener) async {
        for await event in session.events {
            switch event {
            case .connected:
                await self.takeSessionLock()
                self.events.onHint(nil)
            case .notification(_, let payload):
                self.events.onHint(payload)
            case .disconnected:
                self.state.withLock { state in
                    state.holdsSession = false
                    state.machine.sessionClosed()
                }
                // Say so before peers take the vanished session for a death.
                self.wake.wake()
            }
        }
    }

    /// Peers see this lock vanish the moment the process dies, because the kernel closes its sockets.
    private func takeSessionLock() async {
        guard let session = self.session, let member = self.member else { return }
        do throws(PostgresError) {
            _ = try await session.execute(self.database.leaseLockQuery(member.incarnation))
            let isCurrent = self.state.withLock { state in
                guard state.member?.incarnation == member.incarnation else { return false }
                state.holdsSession = true
                state.machine.sessionOpened(now: .now)
                return true
            }
            // Announce the session with a renewal, so that a death from now on is seen at once.
            if isCurrent { self.wake.wake() }
        } catch {
            self.logger.debug("no lease session yet", metadata: ["error": "\(error)"])
        }
    }
}
