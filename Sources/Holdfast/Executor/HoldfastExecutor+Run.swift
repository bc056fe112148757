// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import ServiceLifecycle

extension HoldfastExecutor {
    /// Runs the executor until a graceful shutdown or the task's cancellation.
    ///
    /// 1. The system database is created, upgraded or checked, and the queues are registered.
    /// 2. The process joins the fleet and registers its version; from now on it claims, runs and watches.
    /// 3. On a graceful shutdown it claims nothing more, running steps reach their checkpoint within the grace period, and
    ///    every workflow that is not finished goes back to its queue. Cancelling the task ends the grace period, or skips it.
    ///
    /// While the database cannot be reached, or somebody's transaction holds what it has to change, it keeps trying and says why
    /// in the log. Also then it ends within about a second when it is told to stop.
    ///
    /// - Throws: ``HoldfastError`` when it is called twice, when the database's layout cannot be used, when the version's name
    ///   belongs to another application, and when a newer process takes over the slot.
    public func run() async throws {
        guard self.life.begin() else {
            throw HoldfastError(.alreadyRunning, "run() was called twice; make a new executor instead")
        }
        defer { self.life.end() }
        var limit: Task<Void, any Error>?
        // A server that does not answer must not keep it for ever. Cancelled when this function returns.
        func end(within duration: Duration) {
            limit?.cancel()
            limit = Task {
                try await Task.sleep(for: duration)
                self.core.closeNow()
                self.membership.abandonConnections()
            }
        }
        defer { limit?.cancel() }
        do {
            try await self.prepare()
        } catch {
            // What is left of the start joins no more, and keeps nobody waiting.
            self.membership.beginLeave()
            end(within: Self.lastWait)
            // A task of its own, because this one may be cancelled; it is awaited right here.
            let holder = await Task {
                let holder = await self.leave()
                await self.core.close()
                return holder
            }.value
            // Told to stop before it could begin: that is no failure.
            if error is CancellationError, Task.isShuttingDownGracefully, !Task.isCancelled { return }
            let failure = self.life.isReplaced ? self.slotTaken(by: holder) : error
            self.life.end(failure)
            throw failure
        }
        var holder: SlotHolder?
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.membership.run() }
            group.addTask { await self.reclaimer.run() }
            group.addTask { await self.housekeeper.run() }
            group.addTask { await self.claimer.run() }
            group.addTask { await self.drainOnRequest() }
            group.addTask { await self.replayChecker.run() }
            self.life.ready()
            await self.untilStopped()
            self.life.stopping()
            // The dead say no goodbye.
            if !self.life.isKilled {
                await self.drain()
                // Still a member, with its lease session: else peers would take a slow end for a death. A task of its own,
                // because this one may be cancelled; it is awaited right here.
                self.membership.beginLeave()
                end(within: self.configuration.selfStop)
                holder = await Task { await self.leave() }.value
            }
            group.cancelAll()
            end(within: Self.lastWait)
        }
        await Task { await self.core.close() }.value
        guard !self.life.isKilled else { return }
        self.logger.info("stopped")
        guard self.life.isReplaced else { return }
        throw self.slotTaken(by: holder)
    }

    private func slotTaken(by holder: SlotHolder?) -> HoldfastError {
        let process = holder.map { " (process \($0.pid) on host '\($0.host)')" } ?? ""
        return HoldfastError(
            .slotTaken,
            "a process that began later runs in slot '\(self.host.identity.executorID)'\(process), so this one has stopped; "
                + "give each live executor an executorID of its own"
        )
    }

    /// Waits until the executor claims and runs work.
    ///
    /// - Throws: ``HoldfastError/Code/notRunning`` when `run()` ended before, with the reason.
    public func waitUntilReady() async throws {
        guard case .ended(let failure) = await self.life.untilReady() else { return }
        let reason = failure.map { ": \(($0 as? HoldfastError)?.message ?? "\($0)")" } ?? ""
        throw HoldfastError(.notRunning, "the executor ended before it was ready\(reason)", underlying: failure)
    }

    // MARK: Starting

    private func prepare() async throws {
        let identity = self.host.identity
        if !self.configuration.trustsSchema { try await self.prepareSchema() }
        // Sessions of one's own are set as they begin.
        if self.configuration.database.isPooled {
            try await self.insist("looking at the pooler's sessions") { try await self.requireReadCommitted() }
        }
        let overwrites = try await self.insist("looking for the version") {
            let standing = try await self.host.database.versionStanding(
                identity.applicationVersion,
                applicationName: identity.applicationName
            )
            try self.require(ownerOfVersion: standing.owner)
            return standing.isOrBecomesLatest
        }
        for queue in self.queues {
            try await self.insist("registering queue '\(queue.name)'") {
                try await self.register(queue, overwrites: overwrites)
            }
        }
        try await self.insist("reading the queues") { try await self.catalog.refresh() }
        try await self.insist("joining the fleet") { try await self.membership.join() }
        // Refused: it runs nothing, so its version must not become the latest, and it is never ready.
        guard !self.life.isReplaced else { throw self.slotTaken(by: nil) }
        // Last, because it makes a new version the latest: from then on no other version claims work without a version, and
        // that of a program that cannot start would wait for nobody.
        try await self.insist("registering the version") {
            let (owner, latest) = try await self.host.database.registerVersion(
                identity.applicationVersion,
                applicationName: identity.applicationName
            )
            try self.require(ownerOfVersion: owner)
            guard let latest, latest != identity.applicationVersion else { return }
            self.logger.notice(
                "this is not the latest version; work without a version goes to the latest",
                metadata: ["version": "\(identity.applicationVersion)", "latest": "\(latest)"]
            )
        }
    }

    private func require(ownerOfVersion owner: String?) throws {
        let identity = self.host.identity
        guard let owner, owner != identity.applicationName else { return }
        throw HoldfastError(
            .invalidConfiguration,
            "version '\(identity.applicationVersion)' belongs to application '\(owner)'; version names are unique in a "
                + "system database, so give this one another name"
        )
    }

    private func requireReadCommitted() async throws {
        let isolation = try await self.host.database.isolation()
        guard isolation.level != "read committed" else { return }
        throw HoldfastError(
            .invalidConfiguration,
            "default_transaction_isolation is '\(isolation.level)' behind the pooler, and Holdfast needs 'read committed': "
                + "run \(isolation.cure), and let the pooler connect anew"
        )
    }

    private func prepareSchema() async throws {
        // Without a limit: it may take hours to build an index.
        try await self.insist("preparing the system database", limit: nil) {
            let migrator = Migrator(
                configuration: self.configuration.database.session(applicationName: "holdfast-migrate")
                    ?? self.configuration.database.statements(applicationName: "holdfast-migrate"),
                names: self.core.database.names,
                logger: self.logger
            )
            let report = try await self.configuration.migrates ? migrator.migrate() : migrator.verify()
            self.logger.debug("the system database is ready", metadata: ["report": "\(report)"])
        }
    }

    private func register(_ queue: Queue, overwrites: Bool) async throws {
        let identity = self.host.identity
        let owner = try await self.host.database.registerQueue(
            queue,
            applicationName: identity.applicationName,
            overwrites: overwrites
        )
        guard owner == identity.applicationName else {
            throw HoldfastError(
                .invalidConfiguration,
                "queue '\(queue.name)' belongs to application '\(owner ?? "")'; choose another name"
            )
        }
    }

    // MARK: Stopping

    private func untilStopped() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await gracefulShutdown() }
            group.addTask { await self.life.stop.wait() }
            await group.next()
            group.cancelAll()
        }
    }

    private func drain() async {
        let grace = Task.isCancelled || self.life.isReplaced ? .zero : self.configuration.shutdownGracePeriod
        self.logger.info("shutting down", metadata: ["running": "\(self.host.running.count)", "grace": "\(grace)"])
        self.claimer.stop()
        self.membership.beginDrain()
        self.host.running.beginDrain(.shutdown)
        // Its own task, because this one may be cancelled already; it is awaited right here and ends in time by itself.
        let wait = Task { await self.untilIdle(within: grace) }
        await withTaskCancellationHandler {
            await wait.value
        } onCancel: {
            wait.cancel()
        }
        self.host.running.closeAll(.shutdown)
        // Code that does not react to cancellation is left behind; its workflow is handed back, its writes are refused.
        await Task { await self.untilIdle(within: Self.lastWait) }.value
    }

    /// How long a shutdown waits for what was told to end.
    private static let lastWait: Duration = .seconds(1)

    /// Hands everything over as a shutdown does, but stays, so that an operator sees it idle and may stop it.
    private func drainOnRequest() async {
        await self.life.drain.wait()
        guard !Task.isCancelled else { return }
        self.logger.notice("drained on request: this executor claims nothing more until it is restarted")
        self.claimer.stop()
        self.membership.beginDrain()
        self.host.running.beginDrain(.shutdown)
    }

    private func untilIdle(within limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.host.running.untilIdle() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// - Returns: Who runs in the slot, if this process was replaced.
    private func leave() async -> SlotHolder? {
        var holder: SlotHolder?
        do throws(PostgresError) {
            if self.life.isReplaced {
                let identity = self.host.identity
                holder = try await self.host.database.holders(
                    of: identity.executorID.rawValue,
                    applicationName: identity.applicationName
                ).first
            } else if let member = self.membership.member {
                self.host.returned(try await self.host.database.leave(member))
            }
        } catch {
            self.logger.warning("left without saying so; peers will notice", metadata: ["error": "\(error)"])
        }
        return holder
    }
}
