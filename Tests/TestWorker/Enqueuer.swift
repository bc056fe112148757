// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import ServiceLifecycle

/// A client that notes outside the database what the library told it: which workflows were accepted, and which have ended.
struct Enqueuer: Service {
    struct Plan: Codable, Sendable {
        /// How many workflows are enqueued at the same time.
        var lanes: Int
        /// How long each lane waits between two.
        var pauseMilliseconds: Int
        var load: Effects.Load
    }

    let plan: Plan
    let client: HoldfastClient
    let effects: Effects

    /// Enqueues until a graceful shutdown; every second workflow is started instead.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 1...self.plan.lanes {
                group.addTask {
                    try await withThrowingTaskGroup(of: Void.self) { results in
                        var number = 0
                        while !Task.isShuttingDownGracefully {
                            number += 1
                            let id = "load-\(lane)-\(number)"
                            let handle = try await self.insist { try await self.submit(id, number) }
                            try self.effects.append("accepted \(handle.id) 0")
                            results.addTask {
                                _ = try await self.insist { try await handle.result() }
                                try self.effects.append("ended \(handle.id) 0")
                            }
                            try await Task.sleep(for: .milliseconds(self.plan.pauseMilliseconds))
                        }
                        try await results.waitForAll()
                    }
                }
            }
            try await group.waitForAll()
        }
        await self.client.close()
    }

    private func submit(_ id: String, _ number: Int) async throws -> WorkflowHandle<Int> {
        let load = WorkflowReference<Effects.Load, Int>("load")
        if number.isMultiple(of: 2) {
            return try await self.client.start(load, self.plan.load, options: .init(id: WorkflowID(id)))
        }
        return try await self.client.enqueue(load, self.plan.load, on: "work", options: .init(id: WorkflowID(id)))
    }

    /// Repeats after trouble with the database, as a caller of a client has to: the same id makes it one workflow.
    private func insist<R: Sendable>(_ operation: () async throws -> R) async throws -> R {
        while true {
            do {
                return try await operation()
            } catch let error as HoldfastError where error.code == .database {
                try self.effects.append("refused - 0")
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
