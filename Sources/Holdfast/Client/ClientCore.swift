// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging
import Synchronization

/// What a client is made of; an executor shares it with its own client.
final class ClientCore: Sendable {
    let database: SystemDatabase
    /// The writes of executions.
    let writer: CheckpointWriter
    /// Starts from outside have a lane of their own: an id or a key may be held by somebody's open transaction, and no
    /// checkpoint should wait behind it.
    let starter: CheckpointWriter
    let outcomes: OutcomeWatcher
    let notifier: QueueNotifier
    let applicationName: String?
    let limits: PayloadLimits
    /// What is announced instead of a queue when records are to be compared with code; no queue may have this name.
    static let replayHint = "_dbos_replay_checks"

    /// The channel on which queues with new work are announced.
    let channel: String
    let clock: (any WorkflowClock)?
    let faults: ProcessFaults?
    let logger: Logger
    private let host = Mutex<ExecutionHost?>(nil)

    init(
        database configuration: DatabaseConfiguration,
        applicationName: String?,
        connectionName: String,
        limits: PayloadLimits,
        retries: Bool,
        clock: (any WorkflowClock)? = nil,
        faults: ProcessFaults? = nil,
        logger: Logger
    ) throws(HoldfastError) {
        try configuration.validate()
        let names = try configuration.names()
        let pool = PostgresPool(
            configuration.statements(applicationName: connectionName),
            size: configuration.poolSize,
            logger: logger
        )
        let database = SystemDatabase(pool: pool, names: names, logger: logger)
        // Two fleets may share a database under different schemas, and channels belong to the database.
        self.channel = "holdfast_work:\(configuration.ownSchema.prefix(40))"
        self.database = database
        func lane() -> CheckpointWriter {
            CheckpointWriter(
                database: database,
                applicationName: applicationName,
                retries: retries,
                faults: faults,
                logger: logger
            )
        }
        self.writer = lane()
        self.starter = lane()
        self.outcomes = OutcomeWatcher(database: database, retries: retries, logger: logger)
        self.notifier = QueueNotifier(database: database, channel: self.channel, logger: logger)
        self.applicationName = applicationName
        self.limits = limits
        self.clock = clock
        self.faults = faults
        self.logger = logger
    }

    /// Workflows that the client starts directly run in this host from now on.
    func attach(_ host: ExecutionHost) { self.host.withLock { $0 = host } }

    var attachedHost: ExecutionHost? { self.host.withLock { $0 } }

    /// Ends all connections at once; `close` is still to be called.
    func closeNow() { self.database.pool.closeNow() }

    func close() async {
        await self.notifier.close()
        self.host.withLock { $0 = nil }
        await self.database.close()
    }
}
