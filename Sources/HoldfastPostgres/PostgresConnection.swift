// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import Logging

/// One session with the server, driven by a thread of its own.
///
/// Calls may come from any task; they run in the order in which they arrive. When the last reference goes, the session
/// ends.
package final class PostgresConnection: Sendable {
    private let core: ConnectionCore
    private let facts: ConnectionCore.Facts

    private init(core: ConnectionCore, facts: ConnectionCore.Facts) {
        self.core = core
        self.facts = facts
    }

    deinit {
        core.close()
    }

    /// Opens a session. If the calling task is cancelled meanwhile, the attempt is given up.
    package static func connect(
        _ configuration: PostgresConfiguration,
        logger: Logger
    ) async throws(PostgresError) -> PostgresConnection {
        try await connect(configuration, logger: logger, onNotification: nil)
    }

    static func connect(
        _ configuration: PostgresConfiguration,
        logger: Logger,
        onNotification: ConnectionCore.NotificationHandler?
    ) async throws(PostgresError) -> PostgresConnection {
        let core = try ConnectionCore(logger: logger, onNotification: onNotification)
        let facts = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                core.start(configuration) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            core.close()
        }
        let connection = PostgresConnection(core: core, facts: try facts.get())
        if Task.isCancelled { throw PostgresError(.cancelled, "cancelled while connecting") }
        return connection
    }

    /// Opens a session without a task to wait for it; `completion` is called once, as a rule on the connection's
    /// thread. Closing the core gives the attempt up.
    static func open(
        _ core: ConnectionCore,
        _ configuration: PostgresConfiguration,
        completion: @escaping @Sendable (Result<PostgresConnection, PostgresError>) -> Void
    ) {
        core.start(configuration) { facts in
            completion(facts.map { PostgresConnection(core: core, facts: $0) })
        }
    }

    /// Whether new queries are accepted. The loss of an idle connection is noticed at once.
    package var isUsable: Bool { core.isOpen }

    /// Whether the last query left a transaction open.
    package var isInTransaction: Bool { core.isInTransaction }

    /// The process that serves this session.
    package var backendPID: Int32 { facts.backendPID }

    /// Such as 150006 for 15.6.
    package var serverVersion: Int { facts.serverVersion }

    /// Runs one query. It is not interrupted when the calling task is cancelled: a write that was begun is finished.
    package func execute(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let results = try await submit([EncodedQuery(query)]).mapError(Self.withoutIndex).get()
        return results[0]
    }

    /// Runs one query, and asks the server to stop it when the calling task is cancelled.
    ///
    /// A query that finishes before the request reaches it returns its result.
    package func executeCancellable(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        guard !Task.isCancelled else { throw PostgresError(.cancelled, "cancelled before the query was sent") }
        let queries = [try EncodedQuery(query)]
        let pending = PendingJob()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                core.submit(.pipeline(queries, continuation)) { id in
                    if pending.began(id) { core.cancel(id, with: facts.cancelHandle) }
                }
            }
        } onCancel: {
            if let id = pending.cancelled() { core.cancel(id, with: facts.cancelHandle) }
        }
        do throws(PostgresError) {
            return try result.mapError(Self.withoutIndex).get()[0]
        } catch {
            guard error.sqlState == "57014", Task.isCancelled else { throw error }
            var cancelled = error
            cancelled.code = .cancelled
            throw cancelled
        }
    }

    /// Runs all queries in one round trip, with one sync and therefore in one implicit transaction.
    ///
    /// Throws the first error; then nothing was committed, unless the queries themselves say `commit`.
    package func pipeline(_ queries: [PostgresQuery]) async throws(PostgresError) -> [PostgresResult] {
        var encoded: [EncodedQuery] = []
        encoded.reserveCapacity(queries.count)
        for (index, query) in queries.enumerated() {
            encoded.append(try EncodedQuery(query, index: index))
        }
        return try await submit(encoded).get()
    }

    /// Runs several statements given as one text, without parameters and results.
    package func executeScript(_ sql: String) async throws(PostgresError) {
        // Encoded only for its check of the text.
        let script = try EncodedQuery(PostgresQuery(sql)).sql
        let result = await withCheckedContinuation { core.submit(.script(script, $0)) }
        try result.get()
    }

    /// Asks the server to cancel the query that runs now, if one does. Returns at once.
    package func cancelRunningQuery() {
        core.cancelRunning(with: facts.cancelHandle)
    }

    /// Lets accepted queries finish, then ends the session.
    package func close() async {
        core.close()
        _ = await core.ended()
    }

    /// Ends the session like ``close()``, without waiting.
    func beginClose() {
        core.close()
    }

    /// Ends the session at once: what runs fails as if the connection was lost.
    func abandon() {
        core.abandon()
    }

    /// Waits until the session is over and says why.
    func ended() async -> PostgresError {
        await core.ended()
    }

    private func submit(_ queries: [EncodedQuery]) async -> Result<[PostgresResult], PostgresError> {
        await withCheckedContinuation { core.submit(.pipeline(queries, $0)) }
    }

    private static func withoutIndex(_ error: PostgresError) -> PostgresError {
        var error = error
        error.queryIndex = nil
        return error
    }
}
