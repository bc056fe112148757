// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast

/// Workflows for `ops/chaos`: each follows a plan, and its result is a chain of hashes over what its operations returned, in
/// their order. `ops/chaos_parts/plans.py` computes the same chain from the plan alone.
struct ChaosWorkflows: Sendable {
    let log: EffectLog

    struct Plan: Codable, Sendable {
        var operations: [Operation]
    }

    struct Operation: Codable, Sendable {
        enum Kind: String, Codable {
            /// A step that takes some time.
            case step
            /// A step whose first attempts fail.
            case flaky
            /// A step that is tried again and again, at an even pace and for longer than a lease: attempts begin although
            /// nothing was written before them.
            case patient
            /// A step of which every attempt fails; the workflow goes on.
            case failing
            /// A durable sleep.
            case sleep
            /// Steps that run at once, by handles and by `map`.
            case parallel, map
            /// Child workflows that are started and then awaited.
            case children
            /// The workflow fails.
            case fail
        }

        var kind: Kind
        var milliseconds: Int?
        var failures: Int?
        var branches: [Int]?
        var queue: String?
        var children: [Plan]?
    }

    struct Planned: Error, CustomStringConvertible {
        var description: String { "this was planned" }
    }

    private static let reference = WorkflowReference<Plan, String>("chaos")

    func register(in registry: inout WorkflowRegistry) throws {
        try registry.register(Self.reference, options: WorkflowOptions(maxRecoveryAttempts: nil)) { plan, context in
            let run = ChaosRun(log: self.log, number: self.log.nextRun(), id: context.id)
            try self.log.note(.enter, run: run.number, workflow: run.id)
            defer { try? self.log.note(.leave, run: run.number, workflow: run.id) }
            var link = Chain.link(run.id.rawValue)
            for operation in plan.operations { link = try await Self.perform(operation, link, run, context) }
            return link
        }
    }

    private static func perform(
        _ operation: Operation,
        _ link: String,
        _ run: ChaosRun,
        _ context: WorkflowContext
    ) async throws -> String {
        let time = operation.milliseconds ?? 0
        switch operation.kind {
        case .step:
            return try await context.step("step") { try await run.effect($0, after: link, milliseconds: time) }
        case .flaky:
            let failures = operation.failures ?? 0
            let retry = StepRetry.exponential(maxAttempts: failures + 1, interval: .milliseconds(50))
            return try await context.step("flaky", retry: retry) {
                try await run.effect($0, after: link, milliseconds: time, fails: $0.attempt <= failures)
            }
        case .patient:
            let failures = operation.failures ?? 0
            let retry = StepRetry.exponential(maxAttempts: failures + 1, interval: .milliseconds(1500), factor: 1)
            return try await context.step("patient", retry: retry) {
                try await run.effect($0, after: link, milliseconds: time, fails: $0.attempt <= failures)
            }
        case .failing:
            let retry = StepRetry.exponential(maxAttempts: 2, interval: .milliseconds(50))
            // Careless on purpose: it also catches the errors that end an execution, which must not live on by it.
            do {
                return try await context.step("failing", retry: retry) {
                    try await run.effect($0, after: link, milliseconds: time, fails: true)
                }
            } catch {
                return Chain.link(link, "failed")
            }
        case .sleep:
            try await context.sleep(for: .milliseconds(time))
            return Chain.link(link, "slept")
        case .parallel:
            let handles = try (operation.branches ?? []).map { time in
                try context.startStep("branch") { try await run.effect($0, after: link, milliseconds: time) }
            }
            var end = link
            for handle in handles { end = Chain.link(end, try await handle.value) }
            return end
        case .map:
            return try await context.map(operation.branches ?? [], step: "mapped", maxConcurrency: 2) { time, step in
                try await run.effect(step, after: link, milliseconds: time)
            }.reduce(link, Chain.link)
        case .children:
            var handles: [ChildHandle<String>] = []
            for plan in operation.children ?? [] {
                handles.append(try await context.start(reference, plan, on: operation.queue.map(QueueName.init)))
            }
            var end = link
            for handle in handles {
                do { end = Chain.link(end, try await context.result(of: handle)) } catch WorkflowFailure.failed {
                    end = Chain.link(end, "child failed")
                }
            }
            return end
        case .fail:
            throw Planned()
        }
    }
}

/// One call of a workflow's code.
private struct ChaosRun: Sendable {
    let log: EffectLog
    let number: Int
    let id: WorkflowID

    func effect(
        _ step: StepContext,
        after link: String,
        milliseconds: Int,
        fails: Bool = false
    ) async throws -> String {
        try self.log.note(.begin, run: self.number, workflow: self.id, step: step)
        try await Task.sleep(for: .milliseconds(milliseconds))
        try self.log.note(fails ? .fail : .end, run: self.number, workflow: self.id, step: step)
        if fails { throw ChaosWorkflows.Planned() }
        return Chain.link(link, "\(step.id)")
    }
}

/// FNV-1a of 64 bits: short to write in any language, and different for every order of the same parts.
private enum Chain {
    static func link(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func link(_ before: String, _ value: String) -> String { self.link("\(before)/\(value)") }
}
