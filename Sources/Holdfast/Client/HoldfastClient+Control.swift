// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension HoldfastClient {
    /// Cancels workflows that are not finished. Running ones stop at their next durable operation, within about a second.
    ///
    /// - Parameter children: Whether their children are cancelled as well, down to the last.
    /// - Returns: The ids that were cancelled; finished and unknown ones are left out.
    @discardableResult
    public func cancel(_ ids: [WorkflowID], children: Bool = false) async throws -> [WorkflowID] {
        try await self.read("cancelling workflows") { database throws(PostgresError) in
            var cancelled: [String] = []
            var level = ids.map(\.rawValue)
            var seen = Set(level)
            while !level.isEmpty {
                // First the parents, then their children: a cancelled parent can start no further child.
                cancelled += try await database.cancel(level)
                guard children else { break }
                level = try await database.children(of: level).filter { seen.insert($0).inserted }
            }
            return cancelled.map(WorkflowID.init)
        }
    }

    /// Cancels one workflow.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id.
    public func cancel(_ id: WorkflowID, children: Bool = false) async throws {
        if try await self.cancel([id], children: children).isEmpty { _ = try await self.workflow(id) }
    }

    /// Puts cancelled, given-up or waiting workflows onto a queue again; recorded steps are not run again. Finished ones stay
    /// as they are; a running one is taken away from its execution.
    ///
    /// - Parameter queue: The queue. Default: the internal one.
    /// - Returns: The ids that were resumed.
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when any of the ids does not exist; then nothing is resumed.
    @discardableResult
    public func resume(_ ids: [WorkflowID], on queue: QueueName? = nil) async throws -> [WorkflowID] {
        if let queue, queue.isBlank {
            throw HoldfastError(.invalidArgument, "the queue's name is blank; leave it out or name it")
        }
        let (resumed, missing) = try await self.read("resuming workflows") { database throws(PostgresError) in
            try await database.resume(ids.map(\.rawValue), queue: queue?.rawValue)
        }
        guard missing.isEmpty else {
            throw HoldfastError(
                .nonExistentWorkflow,
                "no workflow has the id \(missing.sorted().map { "'\($0)'" }.joined(separator: ", ")); nothing was resumed"
            )
        }
        self.core.notifier.notify(Set(resumed.values))
        return resumed.keys.map(WorkflowID.init)
    }
}
