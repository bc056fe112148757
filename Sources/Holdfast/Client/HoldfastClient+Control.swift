// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

extension HoldfastClient {
    /// Cancels workflows that are not finished. Running ones stop at their next durable operation, within about a second.
    ///
    /// - Parameter children: Whether their children are cancelled as well, down to the last.
    /// - Returns: The ids that were cancelled; finished and unknown ones are left out.
    /// - Throws: ``HoldfastError/Code/locked`` when somebody's transaction has held one of them for 5 s. Then none of them is
    ///   cancelled, nor any child of theirs; when it holds a child, the parents are.
    @discardableResult
    public func cancel(_ ids: [WorkflowID], children: Bool = false) async throws -> [WorkflowID] {
        var cancelled: [String] = []
        var level = ids.map(\.rawValue)
        var seen = Set(level)
        while !level.isEmpty {
            // First the parents, then their children: a cancelled parent can start no further child.
            let parents = level
            cancelled += try await self.order("cancelling workflows", parents) { database throws(PostgresError) in
                try await database.cancel(parents)
            }
            guard children else { break }
            level = try await self.read("looking for children") { database throws(PostgresError) in
                try await database.children(of: parents)
            }.filter { seen.insert($0).inserted }
        }
        return cancelled.map(WorkflowID.init)
    }

    /// Cancels one workflow.
    ///
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when there is none of this id, ``HoldfastError/Code/locked`` when
    ///   somebody's transaction has held it for 5 s.
    public func cancel(_ id: WorkflowID, children: Bool = false) async throws {
        if try await self.cancel([id], children: children).isEmpty { _ = try await self.workflow(id) }
    }

    /// Puts cancelled, given-up or waiting workflows onto a queue again; recorded steps are not run again. Finished ones stay
    /// as they are; a running one is taken away from its execution.
    ///
    /// - Parameter queue: The queue. Default: the internal one.
    /// - Returns: The ids that were resumed.
    /// - Throws: ``HoldfastError/Code/nonExistentWorkflow`` when any of the ids does not exist, ``HoldfastError/Code/locked`` when
    ///   somebody's transaction has held one of them for 5 s; then nothing is resumed.
    @discardableResult
    public func resume(_ ids: [WorkflowID], on queue: QueueName? = nil) async throws -> [WorkflowID] {
        if let queue, queue.isBlank {
            throw HoldfastError(.invalidArgument, "the queue's name is blank; leave it out or name it")
        }
        let workflows = ids.map(\.rawValue)
        let (resumed, missing) = try await self.order("resuming workflows", workflows) {
            database throws(PostgresError) in
            try await database.resume(workflows, queue: queue?.rawValue)
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

    /// Changes workflows; where it has waited in vain the error names those that somebody's transaction holds.
    private func order<R: Sendable>(
        _ what: String,
        _ workflowIDs: [String],
        _ operation: (SystemDatabase) async throws(PostgresError) -> R
    ) async throws -> R {
        do throws(PostgresError) {
            return try await operation(self.core.database)
        } catch  where error.isLockTimeout {
            var held = (try? await self.core.database.locked(among: workflowIDs)) ?? []
            // Free by now, or nobody can tell.
            if held.isEmpty { held = workflowIDs }
            let names = held.prefix(10).map { "workflow '\($0)'" }.joined(separator: ", ")
            throw HoldfastError(lockOf: "the row of \(names)\(held.count > 10 ? " …" : "")", error, doing: what)
        } catch {
            throw HoldfastError(error, doing: what)
        }
    }
}
