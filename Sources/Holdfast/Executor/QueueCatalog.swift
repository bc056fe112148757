// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Logging
import Synchronization

/// The queues this executor claims from, refreshed from the database.
final class QueueCatalog: Sendable {
    private struct State {
        var rows: [QueueRow] = []
        var reported: Set<String> = []
    }

    private let host: ExecutionHost
    private let selection: QueueSelection
    private let state = Mutex(State())

    init(host: ExecutionHost, selection: QueueSelection) {
        self.host = host
        self.selection = selection
    }

    /// The queues that the plain claim serves; the internal queue is always among them.
    var plain: [QueueRow] {
        let rows = self.state.withLock { $0.rows }
        let internalRow = QueueRow(
            name: SystemDatabase.internalQueue,
            pollingIntervalSeconds: 1,
            hasPartitionLimits: false
        )
        return [internalRow] + rows.filter { !$0.hasSharedLimits }
    }

    func refresh() async throws(PostgresError) {
        let rows = try await self.host.database.queues(applicationName: self.host.identity.applicationName)
            .filter { self.selection.contains($0.name) && $0.name != SystemDatabase.internalQueue }
        let unsupported = self.state.withLock { state in
            state.rows = rows
            let shared = Set(rows.filter(\.hasSharedLimits).map(\.name))
            defer { state.reported = shared }
            return shared.subtracting(state.reported)
        }
        for queue in unsupported.sorted() {
            self.host.logger.error(
                "this queue has limits shared by several executors, which this version does not enforce; its work is left alone",
                metadata: ["queue": "\(queue)"]
            )
        }
    }
}

/// Which queues an executor claims from. The internal queue is always among them.
public struct QueueSelection: Sendable, Hashable {
    private let names: Set<String>?

    /// Every registered queue of the application.
    public static let all = QueueSelection(names: nil)

    /// Only these.
    public static func only(_ queues: QueueName...) -> QueueSelection {
        QueueSelection(names: Set(queues.map(\.rawValue)))
    }

    /// The names, or `nil` for all.
    var listed: [String]? { self.names?.sorted() }

    func contains(_ name: String) -> Bool { self.names?.contains(name) ?? true }
}
