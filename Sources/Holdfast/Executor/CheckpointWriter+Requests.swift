// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres

extension CheckpointWriter {
    enum Request: Sendable {
        case start(StartRow)
        case checkpoint(CheckpointRow)
        case outcome(OutcomeRow)
        case handBack(Owner)
    }

    enum Answer: Sendable {
        /// `nil`: the parent lost its workflow, nothing was stored.
        case started(StoredWorkflow?)
        case checkpoint(CheckpointResult)
        case outcome(isWritten: Bool)
        case handedBack
    }

    enum Signal: Sendable {
        case answer(Result<Answer, any Error>)
        case lead([Entry])
    }

    struct Entry: Batchable, Divertible {
        let request: Request
        let fence: Int
        var waiter: CheckedContinuation<Signal, Never>

        func isFenced(by fence: Int) -> Bool {
            if case .start(let row) = self.request, row.parent == nil { return false }
            return self.fence != fence
        }

        var exclusionKey: String? {
            switch self.request {
            case .start(let row): row.workflowID
            // An execution that lost its workflow and its successor may be in this process at once, at the same step.
            case .checkpoint(let row): "\(row.workflowID)#\(row.functionID)"
            case .outcome, .handBack: nil
            }
        }

        /// The workflow whose row must be free for it.
        var subject: String {
            switch self.request {
            case .start(let row): row.parent?.workflowID ?? row.workflowID
            case .checkpoint(let row): row.workflowID
            case .outcome(let row): row.workflowID
            case .handBack(let owner): owner.workflowID
            }
        }

        var byteCount: Int {
            switch self.request {
            case .start(let row): row.inputs.utf8.count + 512
            case .checkpoint(let row): (row.output ?? row.error ?? "").utf8.count + 256
            case .outcome(let row): (row.output ?? row.error ?? "").utf8.count + 128
            case .handBack: 128
            }
        }
    }

    /// - Parameter patience: How long it waits for a lock.
    func send(
        _ requests: [Request],
        patience: Duration
    ) async throws(PostgresError) -> [Result<Answer, any Error>] {
        var starts: [(Int, StartRow)] = []
        var checkpoints: [(Int, CheckpointRow)] = []
        var outcomes: [(Int, OutcomeRow)] = []
        var handBacks: [(Int, Owner)] = []
        for (index, request) in requests.enumerated() {
            switch request {
            case .start(let row): starts.append((index, row))
            case .checkpoint(let row): checkpoints.append((index, row))
            case .outcome(let row): outcomes.append((index, row))
            case .handBack(let owner): handBacks.append((index, owner))
            }
        }
        var queries: [PostgresQuery] = []
        if !starts.isEmpty { queries.append(self.database.startQuery(starts.map(\.1), patience: patience)) }
        if !checkpoints.isEmpty {
            queries.append(
                self.database.checkpointQuery(
                    checkpoints.map(\.1),
                    applicationName: self.applicationName,
                    patience: patience
                )
            )
        }
        if !outcomes.isEmpty { queries.append(self.database.outcomeQuery(outcomes.map(\.1), patience: patience)) }
        if !handBacks.isEmpty { queries.append(self.database.handBackQuery(handBacks.map(\.1), patience: patience)) }

        var results = try await self.database.pool.pipeline(queries)[...]
        var answers = [Result<Answer, any Error>](repeating: .success(.handedBack), count: requests.count)
        func assign<T>(_ rows: [(Int, T)], _ values: [Answer]) {
            for ((index, _), value) in zip(rows, values) { answers[index] = .success(value) }
        }
        if !starts.isEmpty {
            let stored = try self.database.readStarted(results.removeFirst(), count: starts.count)
            assign(starts, stored.map { .started($0) })
        }
        if !checkpoints.isEmpty {
            let recorded = try self.database.readCheckpoints(results.removeFirst(), of: checkpoints.map(\.1))
            assign(checkpoints, recorded.map { .checkpoint($0) })
        }
        if !outcomes.isEmpty {
            let written = try self.database.readOutcomes(results.removeFirst(), count: outcomes.count)
            assign(outcomes, written.map { .outcome(isWritten: $0) })
        }
        return answers
    }
}
