// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// The place where executions run: what they share with their process.
final class ExecutionHost: Sendable {
    let database: SystemDatabase
    let writer: CheckpointWriter
    let outcomes: OutcomeWatcher
    let notifier: QueueNotifier
    let registry: WorkflowRegistry
    let running: RunningWorkflows
    let identity: ExecutorIdentity
    let limits: PayloadLimits
    /// What is recorded as a moment is on this clock.
    let databaseClock = DatabaseClock()
    let metrics: ExecutorMetrics
    let clock: any WorkflowClock
    let faults: ProcessFaults?
    let logger: Logger
    /// The present right of this process to own work.
    private let tenure = Mutex(Tenure())

    init(
        core: ClientCore,
        registry: WorkflowRegistry,
        running: RunningWorkflows,
        identity: ExecutorIdentity,
        metrics: ExecutorMetrics
    ) {
        self.database = core.database
        self.writer = core.writer
        self.outcomes = core.outcomes
        self.notifier = core.notifier
        self.limits = core.limits
        self.clock = core.clock ?? self.databaseClock
        self.faults = core.faults
        self.logger = core.logger
        self.registry = registry
        self.running = running
        self.identity = identity
        self.metrics = metrics
    }

    // MARK: Membership

    /// The process is a member: it may own work under tokens of this incarnation.
    func open(_ incarnation: Incarnation) { self.tenure.withLock { $0.open(incarnation) } }

    /// The lease was renewed, or is over (`nil`).
    func renewed(selfStopAt: ContinuousClock.Instant?) { self.tenure.withLock { $0.renewed(selfStopAt: selfStopAt) } }

    /// Whether steps may begin at `now`.
    func mayBeginSteps(now: ContinuousClock.Instant) -> Bool { self.tenure.withLock { $0.mayBeginSteps(now: now) } }

    /// The process must assume that it is taken for dead: it gives up what it runs and writes nothing more of it.
    func fence() {
        self.tenure.withLock { $0.shut() }
        self.running.closeAll(.selfFenced)
        self.writer.fence()
    }

    /// A test has killed what stands for the process: everything it runs is over.
    func bury() {
        self.tenure.withLock { $0.shut() }
        self.running.closeAll(.killed)
        self.writer.fence()
    }

    /// Whether this process may own work.
    var isOpen: Bool { self.tenure.withLock { $0.isOpen } }

    func nextToken() -> String? { self.tenure.withLock { $0.nextToken() } }

    /// Whether a token is of the present incarnation. A start that waited for the database may carry an older one.
    func isCurrent(_ token: String) -> Bool { self.tenure.withLock { $0.isCurrent(token) } }

    // MARK: Starts

    /// The row of a workflow that this process starts or enqueues.
    ///
    /// Without a queue it runs here at once if it can; otherwise it waits on the internal queue for an executor that can.
    func row(
        id: WorkflowID,
        name: WorkflowName,
        input: some Encodable,
        queue: QueueName?,
        timeout: Duration?,
        delay: Duration?,
        priority: Int
    ) throws -> StartRow {
        var row = try StartRow(
            id: id,
            name: name,
            input: input,
            timeout: timeout,
            delay: delay,
            priority: priority,
            queue: queue,
            limits: self.limits,
            clock: self.clock
        )
        row.applicationName = self.identity.applicationName
        row.applicationVersion = self.identity.applicationVersion
        row.executorID = self.identity.executorID.rawValue
        if queue == nil, !self.running.isDraining, self.registry.workflows[name.rawValue] != nil,
            let token = self.nextToken()
        {
            row.startHere(token: token, now: self.clock.now)
        }
        return row
    }

    /// A row was stored: run it here if it is ours to run, or tell the others.
    func started(_ row: StartRow, stored: StoredWorkflow) {
        guard stored.isOurs else { return }
        if row.status == .pending {
            self.launch(
                ClaimedWorkflow(
                    workflowID: row.workflowID,
                    name: row.name,
                    queue: nil,
                    inputs: row.inputs,
                    recoveryAttempts: 1,
                    deadline: row.deadline,
                    hasCheckpoints: false
                ),
                token: row.creatorToken
            )
        } else if row.status == .enqueued, let queue = row.queue {
            self.notifier.notify([queue])
        }
    }

    func encode(_ value: some Encodable, of culprit: String) throws -> String {
        let text: String
        do throws(PortableJSONError) {
            text = try PortableJSON.encode(value)
        } catch {
            throw HoldfastError(
                .unencodable,
                "\(culprit): its result cannot be written as JSON: \(error)",
                underlying: error
            )
        }
        try self.limits.check(text, of: culprit)
        return text
    }

    /// Repeats a read until the database answers.
    func retrying<R: Sendable>(
        _ what: String,
        _ operation: (SystemDatabase) async throws(PostgresError) -> R
    ) async throws -> R {
        var attempt = 0
        while true {
            do throws(PostgresError) {
                return try await operation(self.database)
            } catch  where error.isWorthRepeating {
                self.logger.warning("\(what) failed; trying again", metadata: ["error": "\(error)"])
            } catch {
                throw HoldfastError(error, doing: what)
            }
            try await Task.sleep(for: Backoff.database.delay(attempt: attempt))
            attempt += 1
        }
    }
}

/// Who an executor is.
struct ExecutorIdentity: Sendable {
    var applicationName: String
    var applicationVersion: String
    var executorID: ExecutorID
}
