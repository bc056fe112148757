// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// Reads a listener's events one by one.
final class ListenerEvents {
    private var iterator: AsyncStream<PostgresListener.Event>.Iterator

    init(_ listener: PostgresListener) {
        iterator = listener.events.makeAsyncIterator()
    }

    func next() async -> PostgresListener.Event? {
        await iterator.next(isolation: #isolation)
    }

    /// The next event, which must be a connect.
    func connectedPID() async throws -> Int32 {
        let event = await next()
        guard case .connected(let pid) = event else { throw Unexpected(event: event) }
        return pid
    }

    struct Unexpected: Error {
        let event: PostgresListener.Event?
    }
}
