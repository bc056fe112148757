// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Dispatch
package import Logging
import Synchronization

/// A bounded set of connections, made when they are needed.
///
/// A connection that broke is replaced; the query that met the break fails, and whether to repeat it is the caller's
/// decision. Session state (`SET`, advisory locks) survives from one user to the next, so users leave none behind.
package final class PostgresPool: Sendable {
    private typealias Waiter = CheckedContinuation<Result<PostgresConnection, PostgresError>, Never>
    private typealias Machine = PoolMachine<PostgresConnection, Waiter>

    private struct State {
        var machine: Machine
        var lastID: UInt64 = 0
        /// Connections in use.
        var lent: [ObjectIdentifier: PostgresConnection] = [:]
        /// Connections being made; a closed pool does not wait for a host that does not answer.
        var attempts: [UInt64: ConnectionCore] = [:]
        var closing: [CheckedContinuation<Void, Never>] = []
    }

    private let configuration: PostgresConfiguration
    private let checkoutTimeout: Duration
    private let logger: Logger
    private let state: Mutex<State>

    package init(
        _ configuration: PostgresConfiguration,
        size: Int,
        checkoutTimeout: Duration = .seconds(30),
        logger: Logger
    ) {
        self.configuration = configuration
        self.checkoutTimeout = checkoutTimeout
        self.logger = logger
        state = Mutex(State(machine: Machine(limit: size)))
    }

    /// How many connections are idle, lent and being made, and how many callers wait for one.
    package var counts: (idle: Int, lent: Int, beingMade: Int, waiting: Int) {
        state.withLock { $0.machine.counts }
    }

    /// Lends a connection to `body`. What `body` throws comes out unchanged; failing to get a connection throws a
    /// ``PostgresError``. A connection with an open transaction is not lent again but closed.
    package func withConnection<R: Sendable>(_ body: (PostgresConnection) async throws -> R) async throws -> R {
        let connection = try await acquire()
        defer { release(connection) }
        return try await body(connection)
    }

    /// Runs one query on any connection.
    package func execute(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let connection = try await acquire()
        defer { release(connection) }
        return try await connection.execute(query)
    }

    /// Runs one query on any connection, and asks the server to stop it when the calling task is cancelled.
    package func executeCancellable(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let connection = try await acquire()
        defer { release(connection) }
        return try await connection.executeCancellable(query)
    }

    /// Runs all queries on any connection in one round trip and one implicit transaction.
    package func pipeline(_ queries: [PostgresQuery]) async throws(PostgresError) -> [PostgresResult] {
        let connection = try await acquire()
        defer { release(connection) }
        return try await connection.pipeline(queries)
    }

    /// Refuses new work, fails those who wait, waits for the connections in use to come back, and closes them all.
    package func close() async {
        beginClose()
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.machine.isClosed { state.closing.append(continuation) }
                return state.machine.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    /// Closes the pool for whoever cannot wait: connections in use end at once, and what runs on them fails.
    package func closeNow() {
        beginClose()
        for connection in state.withLock({ Array($0.lent.values) }) { connection.abandon() }
    }

    /// Gives up every connection there is, also those in use: what runs on them fails as if they were lost. For a caller who
    /// knows that the server has fallen silent; new ones are made when they are needed.
    package func abandonConnections() {
        var lent: [PostgresConnection] = []
        change { state in
            lent = Array(state.lent.values)
            return state.machine.discardIdle()
        }
        for connection in lent { connection.abandon() }
    }

    private func beginClose() {
        change { $0.machine.close() }
        for core in state.withLock({ Array($0.attempts.values) }) { core.close() }
    }

    func acquire() async throws(PostgresError) -> PostgresConnection {
        let id = newID()
        let deadline = ContinuousClock.now + checkoutTimeout
        let result: Result<PostgresConnection, PostgresError> = await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                change { state in
                    var effects = state.machine.acquire(id, waiter, deadline: deadline, isUsable: \.isUsable)
                    // The handler may have run before there was anybody to remove.
                    if Task.isCancelled {
                        let cancellation = state.machine.cancel(id)
                        effects.failures += cancellation.failures
                    }
                    return effects
                }
            }
        } onCancel: {
            change { $0.machine.cancel(id) }
        }
        return try result.get()
    }

    func release(_ connection: PostgresConnection) {
        let isUsable = connection.isUsable
        let isInTransaction = isUsable && connection.isInTransaction
        if isInTransaction {
            logger.warning("a connection came back to the pool with an open transaction; it is closed")
        }
        change { state in
            state.lent[ObjectIdentifier(connection)] = nil
            return state.machine.release(connection, isUsable: isUsable && !isInTransaction)
        }
    }

    private func change(_ transition: (inout State) -> Machine.Effects) {
        let effects = state.withLock { state in
            let effects = transition(&state)
            for (_, connection) in effects.grants { state.lent[ObjectIdentifier(connection)] = connection }
            return effects
        }
        perform(effects)
    }

    /// Carries out what the machine decided, outside the lock.
    private func perform(_ effects: Machine.Effects) {
        for (waiter, connection) in effects.grants { waiter.resume(returning: .success(connection)) }
        for (waiter, error) in effects.failures { waiter.resume(returning: .failure(error)) }
        for connection in effects.closes { connection.beginClose() }
        for _ in 0..<effects.connects { connect() }
        if let timer = effects.timer { setTimer(timer) }
        if effects.drained {
            let closing = state.withLock { state in
                defer { state.closing = [] }
                return state.closing
            }
            for continuation in closing { continuation.resume() }
        }
    }

    private func newID() -> UInt64 {
        state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
    }

    private func connect() {
        let core: ConnectionCore
        do throws(PostgresError) {
            core = try ConnectionCore(logger: logger, onNotification: nil)
        } catch {
            change { $0.machine.connectFailed(error) }
            return
        }
        let id = newID()
        let isOpen = state.withLock { state in
            state.attempts[id] = core
            return state.machine.isOpen
        }
        if !isOpen { core.close() }
        PostgresConnection.open(core, configuration) { [self] result in
            if case .failure(let error) = result {
                logger.debug("a pool connection could not be made", metadata: ["error": "\(error)"])
            }
            change { state in
                state.attempts[id] = nil
                return switch result {
                case .success(let connection): state.machine.connected(connection)
                case .failure(let error): state.machine.connectFailed(error)
                }
            }
        }
    }

    private func setTimer(_ deadline: ContinuousClock.Instant) {
        let milliseconds = Int(max(.zero, deadline - .now).pollMilliseconds)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [weak self] in
            guard let self else { return }
            change { $0.machine.timePassed(now: .now) }
        }
    }
}
