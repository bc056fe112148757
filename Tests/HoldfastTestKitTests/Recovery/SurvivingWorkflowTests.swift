// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastTestKit
import Synchronization
import Testing

@Suite("verifyRecovery passes a workflow", .timeLimit(.minutes(5)))
struct SurvivingWorkflowTests {
    @Test("of steps and long sleeps, and crashes it before and after every checkpoint")
    func stepsAndSleeps() async throws {
        let report = try await verifyRecovery(
            of: Written { (input: Int, context) async throws -> Int in
                var sum = input
                for name in ["a", "b"] as [StepName] {
                    sum += try await context.step(name) { _ in 1 }
                    try await context.sleep(for: .seconds(30 * 86_400))
                }
                return sum
            },
            input: 40
        )
        // After the start, before and after each of four checkpoints, and before the outcome.
        #expect(report.crashes == 10)
        #expect(report.steps == 4)
        #expect(report.workflows == 1)
        #expect(report.missed == [])
        #expect(report.replays == 32 + 10)
    }

    @Test("that fails, and whose steps are retried, fail and are caught")
    func errors() async throws {
        let report = try await verifyRecovery(
            input: 3,
            world: { World() },
            workflow: { world in
                Written { (limit: Int, context) async throws -> Int in
                    let tries = try await context.step(
                        "stubborn",
                        retry: .exponential(maxAttempts: 5, interval: .seconds(600))
                    ) {
                        step in
                        guard step.attempt == limit else { throw Refused(reason: "attempt \(step.attempt)") }
                        return step.attempt
                    }
                    do {
                        _ = try await context.step("hopeless", throwing: Refused.self) { _ -> Int in
                            throw Refused(reason: "never")
                        }
                    } catch let error as Refused {
                        try await context.step("apology") { _ in world.note("sorry: \(error.reason)") }
                    }
                    throw Refused(reason: "after \(tries) tries")
                }
            },
            // The apology may be said twice; that it was said is what counts.
            effects: { world in Set(world.events) }
        )
        #expect(report.crashes == 8)
    }

    struct Child: Workflow {
        static let name: WorkflowName = "child"

        func run(_ input: Int, context: WorkflowContext) async throws -> Int {
            try await context.sleep(for: .seconds(3600))
            return try await context.step("double") { _ in 2 * input }
        }
    }

    @Test("with children here, on a queue, and delayed on a queue")
    func children() async throws {
        let report = try await verifyRecovery(
            of: Written { (_: Nothing, context) async throws -> [Int] in
                let here = try await context.start(Child.self, 1)
                let queued = try await context.start(Child.self, 2, on: "children")
                let later = try await context.start(
                    Child.self,
                    3,
                    on: "children",
                    options: .init(id: "later", delay: .seconds(86_400))
                )
                var results: [Int] = []
                for child in [here, queued, later] { results.append(try await context.result(of: child)) }
                return results
            },
            input: Nothing(),
            options: RecoveryOptions(queues: [Queue("children")])
        ) { registry in
            try registry.register(Child())
        }
        #expect(report.workflows == 4)
        #expect(report.steps == 6 + 3 * 2)
        // Twice per operation, once per outcome, and once after the start.
        #expect(report.crashes + report.missed.count == 2 * 12 + 4 + 1)
        #expect(report.missed == [])
    }

    @Test("with parallel steps, a race, and a step that it leaves behind")
    func parallel() async throws {
        let report = try await verifyRecovery(
            of: Written { (items: [Int], context) async throws -> Int in
                let squares = try await context.map(items, step: "square", maxConcurrency: 3) { item, _ in item * item }
                let runners = try (1...3).map { number in
                    try context.startStep("runner") { _ in
                        try await Task.sleep(for: .milliseconds(number))
                        return number
                    }
                }
                let winner = try await context.firstToFinish(runners)
                _ = try await winner.value
                return squares.reduce(0, +)
            },
            input: [1, 2, 3, 4]
        )
        #expect(report.steps >= 4 + 2)
    }

    @Test("whose steps toss coins and draw ids, and tells which")
    func chanceInSteps() async throws {
        let report = try await verifyRecovery(
            of: Written { (_: Nothing, context) async throws -> String in
                let id = try await context.step("id") { _ in UUID().uuidString }
                let coin = try await context.step("coin") { _ in Bool.random() }
                if coin { try await context.step("heads") { _ in } } else { try await context.step("tails") { _ in } }
                return id
            },
            input: Nothing()
        )
        #expect(report.varyingSteps.contains("id"))
    }

    @Test("whose declared steps vary, without asking whether they do undisturbed")
    func declared() async throws {
        let report = try await verifyRecovery(
            of: Written { (_: Nothing, context) async throws -> Int in
                _ = try await context.step("id") { _ in UUID().uuidString }
                return 1
            },
            input: Nothing(),
            options: RecoveryOptions(varyingSteps: ["id"])
        )
        #expect(report.varyingSteps == [])
    }

    @Test("at so many points as are asked for, evenly spread")
    func limit() async throws {
        let names = Mutex<[String]>([])
        let report = try await verifyRecovery(
            of: Written { (_: Nothing, context) async throws -> Nothing in
                for number in 1...20 {
                    try await context.step("step") { _ in names.withLock { $0.append("\(number)") } }
                }
                return Nothing()
            },
            input: Nothing(),
            options: RecoveryOptions(maxCrashes: 4)
        )
        #expect(report.crashes == 4)
        #expect(report.steps == 20)
    }
}
