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

    struct State {
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
        /// When the renewal was sent that the lease session has not answered yet.
        var askedSessionAt: ContinuousClock.Instant?
        /// How many renewals are under way beside the regular one.
        var hedges = 0
        /// Fences that are decided and not carried out. Who joined meanwhile would be shut together with its former life.
        var pendingFences = 0

        mutating func decided(_ action: LivenessMachine.Action) -> LivenessMachine.Action {
            if action == .fence { self.pendingFences += 1 }
            return action
        }
    }

    let configuration: HoldfastExecutor.Configuration
    let database: SystemDatabase
    let host: ExecutionHost
    let session: PostgresListener?
    let findings: AsyncStream<ReclaimMachine.Finding>.Continuation
    let events: Events
    let logger: Logger
    let state: Mutex<State>
    let wake = WakeSignal()
    /// Woken by a join, which sets a new moment of self-stop.
    let clockWake = WakeSignal()

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
            group.addTask { await self.hedge() }
            group.addTask { await self.watchClock() }
            if let session = self.session {
                group.addTask { await session.run() }
                group.addTask { await self.follow(session) }
            }
        }
    }

    // MARK: The moment of self-stop

    /// Ticks the machine at the moment of self-stop, however long a renewal hangs.
    private func watchClock() async {
        while !Task.isCancelled {
            // A stopped process does not look at its clock.
            await self.host.faults?.untilThawed()
            let now = ContinuousClock.now
            let (action, next) = self.state.withLock { state in
                let action = state.decided(state.machine.tick(now: now))
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
    func perform(
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
            self.state.withLock { $0.pendingFences -= 1 }
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
    ///
    /// The server may take a while to notice that the former session has ended, longer than a time-out of the role allows to wait.
    func takeSessionLock() async {
        while !Task.isCancelled, await !self.triesToTakeSessionLock() {
            try? await Task.sleep(for: self.configuration.heartbeat)
        }
    }

    /// - Returns: Whether another try would be of no use.
    private func triesToTakeSessionLock() async -> Bool {
        guard let session = self.session, let member = self.member else { return true }
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
            return true
        } catch {
            self.logger.debug("no lease session yet", metadata: ["error": "\(error)"])
            // Without a connection the next one begins anew.
            return error.isTransient
        }
    }
}
