// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
public import Holdfast
import HoldfastPostgres
import Logging
import ServiceLifecycle
import Synchronization

/// An executor in the test's own process that can be killed, frozen and cut off as if it had a process and a network of its
/// own.
///
/// What a kill in the same process cannot do: it cancels the code that runs, but code that does not heed cancellation goes on
/// to its next durable operation; and global variables keep what they hold. Nothing of the kind can be written any more.
public final class TestExecutor: Sendable {
    /// Its slot.
    public let id: ExecutorID
    let executor: HoldfastExecutor
    let faults: ProcessFaults
    private let database: TestDatabase
    private let group: ServiceGroup
    private let running: Task<Void, any Error>
    private let networks: [SilenceableProxy]
    /// By what its sessions behind a pooler are known.
    private let applicationName: String?

    /// Starts an executor. It is not ready yet.
    init(
        id: ExecutorID,
        _ configuration: HoldfastExecutor.Configuration,
        faults: ProcessFaults = ProcessFaults(),
        networks: [SilenceableProxy] = [],
        database: TestDatabase,
        registry: WorkflowRegistry,
        queues: [Queue],
        logger: Logger = TestLog.logger
    ) throws {
        var configuration = configuration
        configuration.executorID = id
        configuration.faults = faults
        self.applicationName =
            configuration.database.isPooled ? "holdfast-test-\(UUID().uuidString.lowercased())" : nil
        if let name = self.applicationName {
            let named = try PostgresConfiguration(configuration.database.url).connecting(asApplication: name)
            configuration.database.url = named.connectionString
        }
        let executor = try HoldfastExecutor(
            configuration: configuration,
            registry: registry,
            queues: queues,
            logger: logger
        )
        self.id = id
        self.executor = executor
        self.faults = faults
        self.networks = networks
        self.database = database
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: executor, successTerminationBehavior: .gracefullyShutdownGroup)],
                logger: logger
            )
        )
        self.group = group
        // Unstructured, because it lives from here to `end`, which awaits it; whoever makes an executor calls that.
        self.running = Task { try await group.run() }
    }

    /// Starts, awaits and inspects workflows; direct starts run in this executor.
    public var client: HoldfastClient { self.executor.client }

    /// Whether it was killed.
    public var isKilled: Bool { self.faults.isDead }

    /// Waits until it claims and runs work.
    func untilReady() async throws {
        do {
            try await self.executor.waitUntilReady()
        } catch {
            // Why, its run knows.
            try await self.running.value
            throw error
        }
    }

    /// Kills it, as `SIGKILL` would its process: its connections close at once, it hands nothing back, and its peers take
    /// over.
    ///
    /// Returns when the server has noticed, so that nothing of the dead can reach the database any more.
    public func kill() async throws {
        self.faults.kill()
        try await self.untilGone()
    }

    /// Shuts it down in good order: steps under way reach their checkpoint, everything else goes back to its queue.
    public func stop() async throws {
        guard !self.isKilled else { return }
        self.resume()
        self.heal()
        await self.group.triggerGracefulShutdown()
        try await self.running.value
    }

    /// Waits until nothing of a killed executor is left.
    func untilGone() async throws {
        self.database.ledger.state.withLock { _ = $0.killed.insert(self.id.rawValue) }
        self.faults.thaw()
        for network in self.networks { network.close() }
        // How it ended does not matter any more.
        _ = await self.running.result
        let end = ContinuousClock.now.advanced(by: .seconds(60))
        while try await self.isServed() {
            guard ContinuousClock.now < end else {
                throw TestKitError(.timeout, "the server still serves the killed executor '\(self.id)' after 60 s")
            }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Whether the server still has a session of it, or does something for it.
    private func isServed() async throws -> Bool {
        let system = self.database.system
        if try await !system.liveSessions(among: self.faults.sessions).isEmpty { return true }
        // Behind a pooler, which makes up process ids, sessions stay; those that work are told by their name.
        guard let name = self.applicationName else { return false }
        return try await system.countBusySessions(ofApplication: name) > 0
    }

    // MARK: Freezing and cutting off

    /// Freezes it, as `SIGSTOP` would its process: it sends nothing, hears nothing and begins no step, but its connections
    /// stay open. Beyond the lease its peers take over.
    ///
    /// Code of a step that runs already goes on; what it returns is not recorded before ``resume()``.
    public func pause() { self.faults.freeze() }

    /// Lets it go on as if no time had passed for it, as `SIGCONT` would.
    public func resume() { self.faults.thaw() }

    /// Cuts it off from the database: nothing gets through in either direction, and neither side is told.
    ///
    /// - Throws: ``TestKitError/Code/executor`` when its fleet was made without a network of its own.
    public func cutOff() throws {
        guard !self.networks.isEmpty else {
            throw TestKitError(
                .executor,
                "executor '\(self.id)' has no network of its own to cut; make the fleet with hasNetwork: true"
            )
        }
        for network in self.networks { network.isSilent = true }
    }

    /// Restores its network. What was under way arrives now.
    public func heal() {
        for network in self.networks { network.isSilent = false }
    }

    /// Ends it in whatever state it is.
    func end() async {
        do {
            if self.isKilled { try await self.untilGone() } else { try await self.stop() }
        } catch {
            TestLog.say("executor '\(self.id)' ended: \(error)")
        }
        for network in self.networks { network.close() }
    }
}
