// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import Logging
import Synchronization

/// A session that listens for notifications and comes back after every break.
package final class PostgresListener: Sendable {
    package enum Event: Sendable {
        /// Listening. Notifications sent before this moment may have been missed: look at what they would have told.
        ///
        /// Comes after every connect, and once more when notifications had to be dropped because nobody read them.
        case connected(backendPID: Int32)
        case notification(channel: String, payload: String)
        case disconnected(PostgresError)
    }

    /// What happens to the session, for one reader.
    ///
    /// At most 1024 unread events are kept. When there are more, the oldest are dropped and an additional
    /// ``Event/connected(backendPID:)`` tells the reader to look for itself. The stream ends with ``run()``.
    package let events: AsyncStream<Event>

    private let continuation: AsyncStream<Event>.Continuation
    private let configuration: PostgresConfiguration
    private let opening: [PostgresQuery]
    private let logger: Logger
    /// The session that listens.
    private let current = Mutex<PostgresConnection?>(nil)
    /// The session that is connected, perhaps before it listens.
    private let connected = Mutex<PostgresConnection?>(nil)
    private let overflow = Mutex(ListenerOverflow())

    /// - Parameters:
    ///   - channels: What to listen to, taken literally.
    ///   - onConnect: Queries to run on every new session before it counts as connected.
    package init(
        _ configuration: PostgresConfiguration,
        channels: [String],
        onConnect: [PostgresQuery] = [],
        logger: Logger
    ) {
        self.configuration = configuration
        opening = channels.map { PostgresQuery("listen \(Self.quoted($0))") } + onConnect
        self.logger = logger
        (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    }

    /// Connects, listens, and connects again after a loss, until the task is cancelled. To be called once.
    package func run() async {
        var backoff = ReconnectBackoff()
        var generator = SystemRandomNumberGenerator()
        defer { continuation.finish() }
        while !Task.isCancelled {
            do throws(PostgresError) {
                let loss = try await runSession { backoff.reset() }
                if Task.isCancelled { return }
                logger.warning("the listening connection was lost", metadata: ["error": "\(loss)"])
                emit(.disconnected(loss))
            } catch {
                if Task.isCancelled { return }
                logger.warning("no listening connection", metadata: ["error": "\(error)"])
            }
            do {
                try await Task.sleep(for: backoff.next(using: &generator))
            } catch {
                return
            }
        }
    }

    /// Runs a query on the listening session. Throws `.connectionLost` while there is none.
    package func execute(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        guard let connection = current.withLock({ $0 }) else {
            throw PostgresError(.connectionLost, "the listener is not connected")
        }
        return try await connection.execute(query)
    }

    /// Gives the present session up: what runs on it fails as if it was lost. For a caller who knows that the server has
    /// fallen silent; a new one is made.
    package func abandonConnection() {
        connected.withLock { $0 }?.abandon()
    }

    /// One session from connect to loss. Throws if it never came to listen.
    private func runSession(onListening: () -> Void) async throws(PostgresError) -> PostgresError {
        let connection = try await PostgresConnection.connect(configuration, logger: logger) { [weak self] in
            self?.emit(.notification(channel: $0, payload: $1))
        }
        connected.withLock { $0 = connection }
        defer { connected.withLock { $0 = nil } }
        let outcome = await withTaskCancellationHandler {
            await listen(on: connection, onListening)
        } onCancel: {
            connection.beginClose()
        }
        return try outcome.get()
    }

    private func listen(
        on connection: PostgresConnection,
        _ onListening: () -> Void
    ) async -> Result<PostgresError, PostgresError> {
        // A server that falls silent here would be waited for without end. Cancelled on the next line but one.
        let limit = Task { [configuration] in
            try await Task.sleep(for: configuration.connectTimeout)
            connection.abandon()
        }
        do throws(PostgresError) {
            defer { limit.cancel() }
            _ = try await connection.pipeline(opening)
        } catch {
            return .failure(error)
        }
        current.withLock { $0 = connection }
        emit(.connected(backendPID: connection.backendPID))
        onListening()
        let loss = await connection.ended()
        current.withLock { $0 = nil }
        return .success(loss)
    }

    private func emit(_ event: Event) {
        let result = continuation.yield(event)
        let needsReminder = overflow.withLock { overflow in
            switch result {
            case .dropped(.notification): overflow.dropped(isReminder: false)
            case .dropped: overflow.dropped(isReminder: true)
            default: overflow.enqueued()
            }
        }
        guard needsReminder, let connection = current.withLock({ $0 }) else { return }
        // What this one displaces is older than it, so the reader who comes to it misses nothing.
        continuation.yield(.connected(backendPID: connection.backendPID))
    }

    private static func quoted(_ identifier: String) -> String {
        "\"" + identifier.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
