// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast

/// Workflows whose effects are lines in files, where a test can count them whatever the database says. After its words each
/// line names the process and the time.
struct Effects: Sendable {
    let folder: String
    let executorID: String

    /// `steps` steps with one effect each; `gates` names steps that wait, after their effect, until the file
    /// `open-<workflow>-<step>` exists.
    struct Plan: Codable, Sendable {
        var steps: Int
        var gates: [Int] = []
    }

    /// Short steps around one long step, with one effect each: a load that is always in the middle of something.
    struct Load: Codable, Sendable {
        var steps: Int
        var shortMilliseconds: Int
        var longStep: Int
        var longMilliseconds: Int
        /// How much each step returns. Default: nothing.
        var resultBytes: Int?
    }

    func registry() throws -> WorkflowRegistry {
        var registry = WorkflowRegistry()
        try registry.register(WorkflowReference<Nothing, Nothing>("noop")) { _, context in
            try self.append("run \(context.id)")
            return Nothing()
        }
        try registry.register(WorkflowReference<Plan, Int>("effects")) { plan, context in
            let id = context.id
            for number in 1...plan.steps {
                try await context.step("step \(number)") { _ in
                    try self.append("effect \(id) \(number)")
                    guard plan.gates.contains(number) else { return }
                    do { try await self.waitForFile("open-\(id)-\(number)") } catch {
                        try self.append("cancelled \(id) \(number)")
                        throw error
                    }
                }
            }
            return plan.steps
        }
        try registry.register(WorkflowReference<Load, Int>("load")) { load, context in
            let id = context.id
            for number in 1...load.steps {
                _ = try await context.step("step \(number)") { _ in
                    try self.append("effect \(id) \(number)")
                    let duration = number == load.longStep ? load.longMilliseconds : load.shortMilliseconds
                    try await Task.sleep(for: .milliseconds(duration))
                    return String(repeating: "x", count: load.resultBytes ?? 0)
                }
                // From here on the step must never run again.
                try self.append("acknowledged \(id) \(number)")
            }
            return load.steps
        }
        try registry.register(WorkflowReference<Int, Int>("sleepy")) { milliseconds, context in
            try await context.step("before") { _ in try self.append("effect \(context.id) 1") }
            try await context.sleep(for: .milliseconds(milliseconds))
            try await context.step("after") { _ in try self.append("effect \(context.id) 2") }
            return milliseconds
        }
        try registry.register(WorkflowReference<Nothing, Nothing>("stubborn")) { _, context in
            let retry = StepRetry.exponential(maxAttempts: 100_000, interval: .milliseconds(100), factor: 1)
            try await context.step("stubborn", retry: retry) { _ in
                try self.append("effect \(context.id) 1")
                guard FileManager.default.fileExists(atPath: "\(self.folder)/open-stubborn") else {
                    throw POSIXError(.EAGAIN)
                }
            }
            return Nothing()
        }
        try registry.register(WorkflowReference<Nothing, Nothing>("blocker")) { _, context in
            try await context.step("block") { _ in
                try self.append("effect \(context.id) 1")
                // Neither hears of its cancellation nor gives its thread back.
                while !FileManager.default.fileExists(atPath: "\(self.folder)/open-\(context.id)-1") { usleep(10_000) }
            }
            return Nothing()
        }
        try registry.register(WorkflowReference<Nothing, Double>("wall-clock")) { _, context in
            try await context.step("look") { _ in Date().timeIntervalSince1970 }
        }
        try registry.register(WorkflowReference<Nothing, Nothing>("poison")) { _, context in
            try await context.step("poison") { _ in
                try self.append("effect \(context.id) 1")
                kill(getpid(), SIGKILL)
            }
            return Nothing()
        }
        try registry.register(WorkflowReference<Nothing, Nothing>("poisonous-parent")) { _, context in
            // Nobody claims from this queue.
            _ = try await context.start(WorkflowReference<Nothing, Nothing>("noop"), Nothing(), on: "parked")
            try await context.step("poison") { _ in
                try self.append("effect \(context.id) 1")
                kill(getpid(), SIGKILL)
            }
            return Nothing()
        }
        return registry
    }

    /// Adds a line with the executor and the time in milliseconds. One `write` per line in append mode: whole lines, also
    /// when the process is killed.
    func append(_ line: String) throws {
        let handle = open("\(self.folder)/effects", O_WRONLY | O_APPEND | O_CREAT, 0o644)
        guard handle >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        defer { close(handle) }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = now.tv_sec * 1000 + now.tv_nsec / 1_000_000
        let bytes = Array("\(line) \(self.executorID) \(milliseconds)\n".utf8)
        guard write(handle, bytes, bytes.count) == bytes.count else { throw POSIXError(.EIO) }
    }

    private func waitForFile(_ name: String) async throws {
        while !FileManager.default.fileExists(atPath: "\(self.folder)/\(name)") {
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
