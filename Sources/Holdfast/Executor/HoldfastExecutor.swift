// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
public import Logging
public import ServiceLifecycle
import Synchronization

/// One process of a fleet: it claims work, runs workflows, watches its peers and takes over the work of those that die.
///
/// ```swift
/// let executor = try HoldfastExecutor(
///     configuration: .init(applicationName: "shop", database: .init(url: databaseURL)),
///     workflows: Checkout(payments: stripe), ShipOrder(carrier: dhl),
///     queues: [Queue(.fulfilment, workerConcurrency: 4)],
///     logger: logger
/// )
/// try await ServiceGroup(services: [executor], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public final class HoldfastExecutor: Service {
    /// Starts, awaits and inspects workflows. Workflows started through it run in this process when it runs.
    public let client: HoldfastClient

    let configuration: Configuration
    let host: ExecutionHost
    let queues: [Queue]
    let logger: Logger
    let core: ClientCore
    let catalog: QueueCatalog
    let claimer: Claimer
    let membership: Membership
    let reclaimer: Reclaimer
    let housekeeper: Housekeeper
    let replayChecker: ReplayChecker
    let life: ExecutorLife

    /// Makes an executor for the workflows given one by one.
    ///
    /// - Throws: ``HoldfastError`` when the configuration is invalid or two workflows share a name.
    public convenience init<each W: Workflow>(
        configuration: Configuration,
        workflows: repeat each W,
        queues: [Queue] = [],
        logger: Logger
    ) throws {
        var registry = WorkflowRegistry()
        for workflow in repeat each workflows { try registry.register(workflow) }
        try self.init(configuration: configuration, registry: registry, queues: queues, logger: logger)
    }

    /// Makes an executor for the workflows of a registry.
    ///
    /// - Throws: ``HoldfastError`` when the configuration is invalid.
    public init(
        configuration: Configuration,
        registry: WorkflowRegistry,
        queues: [Queue] = [],
        logger: Logger
    ) throws {
        try configuration.validate()
        var names: Set<QueueName> = []
        for queue in queues {
            try queue.validate()
            guard names.insert(queue.name).inserted else {
                throw HoldfastError(.duplicateRegistration, "queue '\(queue.name)' is given twice; give it once")
            }
        }
        let identity = try configuration.identity()
        var logger = logger
        logger[metadataKey: "executor"] = "\(identity.executorID)"
        var database = configuration.database
        // A connection that is silent for so long is of no use any more, and the server must have ended the transactions of an
        // executor that is cut off before its lease is over, or they would keep its work from those who take it over.
        database.silenceLimit = configuration.selfStop
        let core = try ClientCore(
            database: database,
            applicationName: identity.applicationName,
            connectionName: "holdfast",
            limits: configuration.payloadLimits,
            retries: true,
            clock: configuration.clock,
            faults: configuration.faults,
            logger: logger
        )
        let host = ExecutionHost(
            core: core,
            registry: registry,
            running: RunningWorkflows(),
            identity: identity,
            metrics: ExecutorMetrics(application: identity.applicationName, factory: configuration.metrics)
        )
        let catalog = QueueCatalog(host: host, selection: configuration.queueSelection)
        let claimer = Claimer(
            host: host,
            catalog: catalog,
            capacity: configuration.maxConcurrentWorkflows,
            pollInterval: configuration.pollInterval
        )
        host.running.whenFreed { claimer.slotFreed() }
        let (findings, continuation) = AsyncStream.makeStream(
            of: ReclaimMachine.Finding.self,
            bufferingPolicy: .bufferingNewest(16)
        )
        let session = database.session(applicationName: "holdfast-session", lease: configuration.lease)
        let listener = session.map { PostgresListener($0, channels: [core.channel], logger: logger) }
        let life = ExecutorLife()
        let replayChecker = ReplayChecker(
            host: host,
            hearsRequests: session != nil,
            limit: configuration.replayCheckLimit
        )
        self.membership = Membership(
            configuration: configuration,
            host: host,
            session: listener,
            findings: continuation,
            events: Membership.Events(
                onJoined: { claimer.hint() },
                onHint: { payload in
                    if payload != ClientCore.replayHint { claimer.hint() }
                    if payload == nil || payload == ClientCore.replayHint { replayChecker.hint() }
                },
                onDrainRequested: { life.requestDrain() },
                onReplaced: { life.replaced() }
            )
        )
        self.reclaimer = Reclaimer(
            host: host,
            membership: self.membership,
            heartbeat: configuration.heartbeat,
            quarantineAfter: configuration.quarantineAfter,
            findings: findings
        ) { queues in
            host.notifier.notify(queues)
            claimer.hint()
        }
        self.housekeeper = Housekeeper(host: host, catalog: catalog, onWork: { claimer.hint() })
        self.replayChecker = replayChecker
        self.configuration = configuration
        self.queues = queues
        self.logger = logger
        self.host = host
        self.catalog = catalog
        self.claimer = claimer
        self.life = life
        self.core = core
        core.attach(host)
        configuration.faults?.onDeath {
            host.bury()
            life.killed()
        }
        self.client = HoldfastClient(core: core)
    }
}
