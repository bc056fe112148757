// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging
import Synchronization

/// Tells other executors that a queue has new work; a hint that may be lost, because everybody polls as well.
///
/// Hints are coalesced and sent after the commit, on their own: a commit that notifies takes a lock on the whole database.
final class QueueNotifier: Sendable {
    private struct State {
        var pending: Set<String> = []
        var task: Task<Void, Never>?
        var isClosed = false
    }

    /// At most this often per process.
    private static let spacing: Duration = .milliseconds(10)

    private let database: SystemDatabase
    private let channel: String
    private let logger: Logger
    private let state = Mutex(State())

    init(database: SystemDatabase, channel: String, logger: Logger) {
        self.database = database
        self.channel = channel
        self.logger = logger
    }

    func notify(_ queues: some Sequence<String>) {
        self.state.withLock { state in
            guard !state.isClosed else { return }
            state.pending.formUnion(queues)
            guard state.task == nil, !state.pending.isEmpty else { return }
            // Ends itself when nothing is pending; `close` awaits it.
            state.task = Task { await self.flush() }
        }
    }

    /// Sends what is pending and takes nothing more.
    func close() async {
        let task = self.state.withLock { state in
            state.isClosed = true
            return state.task
        }
        await task?.value
    }

    private func flush() async {
        while true {
            let queues: [String]? = self.state.withLock { state in
                if state.pending.isEmpty {
                    state.task = nil
                    return nil
                }
                defer { state.pending = [] }
                return state.pending.sorted()
            }
            guard let queues else { return }
            do throws(PostgresError) {
                try await self.database.notifyQueues(queues, channel: self.channel)
            } catch {
                self.logger.debug("a hint was lost; polling finds the work", metadata: ["error": "\(error)"])
            }
            if self.state.withLock({ $0.isClosed }) { continue }
            try? await Task.sleep(for: Self.spacing)
        }
    }
}
