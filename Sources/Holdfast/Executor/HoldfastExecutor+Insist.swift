// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import ServiceLifecycle
import Synchronization

extension HoldfastExecutor {
    /// How long a start that was told to stop waits for what it has begun.
    private static let lastMoment: Duration = .milliseconds(500)

    private var isToldToStop: Bool { Task.isCancelled || Task.isShuttingDownGracefully || self.life.isKilled }

    /// As ``insist(_:limit:_:)``, with the self-stop as the limit.
    func insist<R: Sendable>(
        _ what: String,
        _ operation: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        try await self.insist(what, limit: self.configuration.selfStop, operation)
    }

    /// Repeats an operation of the start until the database answers and nobody holds what is to be changed; anything else is
    /// thrown.
    ///
    /// - Parameter limit: After how long an operation without an answer is given up and repeated.
    /// - Throws: `CancellationError` soon after the executor was told to stop, whatever the operation waits for.
    func insist<R: Sendable>(
        _ what: String,
        limit: Duration?,
        _ operation: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        var attempt = 0
        while true {
            guard !self.isToldToStop else { throw CancellationError() }
            do {
                return try await self.attempt(operation, limit: limit)
            } catch let error as PostgresError where error.isTransient || error.isLockTimeout {
                let reason =
                    error.isLockTimeout ? "somebody's transaction holds a lock" : "the database cannot be reached"
                self.logger.warning(
                    "\(what): \(reason); trying again",
                    metadata: ["error": "\(error)", "attempt": "\(attempt + 1)"]
                )
            } catch is PostgresError where self.isToldToStop {
                throw CancellationError()
            } catch let error as PostgresError {
                throw HoldfastError(error, doing: what)
            } catch let error as MigrationError {
                throw HoldfastError(.schema, error.message, underlying: error)
            }
            let delay = Backoff.database.delay(attempt: attempt)
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
            attempt += 1
        }
    }

    /// Runs an operation until it ends, or the executor is told to stop.
    private func attempt<R: Sendable>(
        _ operation: @escaping @Sendable () async throws -> R,
        limit: Duration?
    ) async throws -> R {
        // A server that has fallen silent would be waited for without end. Cancelled when the operation is over.
        let limit = limit.map { limit in
            Task {
                try await Task.sleep(for: limit)
                self.membership.abandonConnections()
            }
        }
        defer { limit?.cancel() }
        let end = WakeSignal()
        let isOver = Atomic(false)
        // A task of its own, because a statement waits on when its task is cancelled. One that is left behind ends at the latest
        // when `run()` closes the connections; a migration has some of its own, and ends with its statement.
        let task = Task {
            defer {
                isOver.store(true, ordering: .releasing)
                end.wake()
            }
            return try await operation()
        }
        await cancelWhenGracefulShutdown { await end.wait() }
        if !isOver.load(ordering: .acquiring) {
            task.cancel()
            // Again a task of its own, because this one may be cancelled.
            await Task { await end.wait(until: .now.advanced(by: Self.lastMoment)) }.value
        }
        guard isOver.load(ordering: .acquiring) else {
            self.membership.abandonConnections()
            throw CancellationError()
        }
        return try await task.value
    }
}
