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
    /// What peers' ends ask for.
    enum Finding: Sendable {
        case suspects([RenewalReport.Peer], mayJudgeLeases: Bool)
        case unreclaimed([RenewalReport.Dead])
    }

    private struct State {
        var machine: LivenessMachine
        var member: Member?
        var holdsSession = false
        var isDraining = false
    }

    private let configuration: HoldfastExecutor.Configuration
    private let database: SystemDatabase
    private let host: ExecutionHost
    private let session: PostgresListener?
    private let findings: AsyncStream<Finding>.Continuation
    /// Called when this process has joined; when work was announced (queue names); when the slot is lost for good.
    private let onJoined: @Sendable () -> Void
    private let onHint: @Sendable (String?) -> Void
    private let onReplaced: @Sendable () -> Void
    private let logger: Logger
    private let state: Mutex<State>
    private let wake = WakeSignal()

    init(
        configuration: HoldfastExecutor.Configuration,
        host: ExecutionHost,
        session: PostgresListener?,
        findings: AsyncStream<Finding>.Continuation,
        onJoined: @escaping @Sendable () -> Void,
        onHint: @escaping @Sendable (String?) -> Void,
        onReplaced: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.database = host.database
        self.host = host
        self.session = session
        self.findings = findings
        self.onJoined = onJoined
        self.onHint = onHint
        self.onReplaced = onReplaced
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

    func beginDrain() {
        self.state.withLock { $0.isDraining = true }
        self.wake.wake()
    }

    /// Looks at the peers again at once, because some of them were just found dead.
    func lookAgain() { self.wake.wake() }

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

    /// Joins as a new incarnation; the first attempt that fails for good throws.
    func join() async throws(PostgresError) {
        let incarnation = Incarnation()
        let identity = self.host.identity
        let member = Member(
            incarnation: incarnation,
            executorID: identity.executorID.rawValue,
            applicationName: identity.applicationName,
            applicationVersion: identity.applicationVersion,
            host: HostName.current,
            pid: HostName.processID,
            capacity: self.configuration.maxConcurrentWorkflows,
            leaseMilliseconds: self.configuration.lease.inMilliseconds
        )
        let sentAt = ContinuousClock.now
        let (serverEpoch, superseded) = try await self.database.join(member)
        self.state.withLock { state in
            state.machine.joined(sentAt: sentAt, serverEpoch: serverEpoch)
            state.member = member
            state.holdsSession = false
        }
        self.host.open(incarnation)
        self.logger.info(
            "joined the fleet",
            metadata: ["incarnation": "\(incarnation)", "superseded": "\(superseded)"]
        )
        self.onJoined()
    }

    private func joinAgain() async {
        var attempt = 0
        while !Task.isCancelled {
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
                await self.joinAgain()
                continue
            }
            let sentAt = ContinuousClock.now
            do throws(PostgresError) {
                let report = try await self.renewOnce(member)
                self.handle(report, sentAt: sentAt)
            } catch {
                self.logger.warning("the lease could not be renewed", metadata: ["error": "\(error)"])
            }
            let pause = self.configuration.heartbeat * Double.random(in: 0.9...1.0)
            await self.wake.wait(until: sentAt.advanced(by: pause))
        }
    }

    private func renewOnce(_ member: Member) async throws(PostgresError) -> RenewalReport {
        let (isDraining, holdsSession) = self.state.withLock { ($0.isDraining, $0.holdsSession) }
        let running = self.host.running.count
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
        let now = ContinuousClock.now
        let (action, mayJudge) = self.state.withLock { state in
            let action = state.machine.answered(report.answer, sentAt: sentAt, now: now)
            return (action, state.machine.mayJudgeLeases(now: now))
        }
        self.perform(action, because: "the database says that this incarnation is over")
        guard action == .none else { return }
        let suspects = report.suspects.filter { $0.isSessionGone || mayJudge }
        if !suspects.isEmpty { self.findings.yield(.suspects(suspects, mayJudgeLeases: mayJudge)) }
        if !report.unreclaimed.isEmpty { self.findings.yield(.unreclaimed(report.unreclaimed)) }
    }

    /// Ticks the machine at the moment of self-stop, however long a renewal hangs.
    private func watchClock() async {
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let (action, next) = self.state.withLock { state in
                let action = state.machine.tick(now: now)
                return (action, state.machine.selfStopAt)
            }
            self.perform(action, because: "its lease could not be renewed for \(self.configuration.selfStop)")
            let wakeAt = next ?? now.advanced(by: self.configuration.heartbeat)
            try? await Task.sleep(until: wakeAt, clock: .continuous)
        }
    }

    private func perform(_ action: LivenessMachine.Action, because reason: String) {
        switch action {
        case .none: return
        case .fence:
            self.logger.error("this executor stops its work and joins again", metadata: ["reason": "\(reason)"])
            self.host.fence()
            self.host.metrics.fenced()
            self.wake.wake()
        case .stop:
            self.logger.critical(
                "a newer process runs in slot '\(self.host.identity.executorID)'; this one stops for good"
            )
            self.host.fence()
            self.onReplaced()
        }
    }

    // MARK: The lease session

    private func follow(_ session: PostgresListener) async {
        for await event in session.events {
            switch event {
            case .connected:
                await self.takeSessionLock()
                self.onHint(nil)
            case .notification(_, let payload):
                self.onHint(payload)
            case .disconnected:
                self.state.withLock { $0.holdsSession = false }
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
                return true
            }
            // Announce the session with a renewal, so that a death from now on is seen at once.
            if isCurrent { self.wake.wake() }
        } catch {
            self.logger.debug("no lease session yet", metadata: ["error": "\(error)"])
        }
    }
}
