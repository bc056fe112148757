// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastTestKit
import Testing

@Suite("verifyRecovery compares the effects of a workflow", .timeLimit(.minutes(5)))
struct EffectsTests {
    private static func verify<Effects: Equatable & Sendable>(
        effects: @escaping (World) -> Effects,
        _ code: @escaping @Sendable (WorkflowContext, World) async throws -> Void
    ) async throws -> RecoveryReport {
        try await verifyRecovery(
            input: Nothing(),
            world: { World() },
            workflow: { world in
                Written { (_: Nothing, context) async throws -> Nothing in
                    try await code(context, world)
                    return Nothing()
                }
            },
            effects: { effects($0) }
        )
    }

    private static func failure<Effects: Equatable & Sendable>(
        effects: @escaping (World) -> Effects,
        _ code: @escaping @Sendable (WorkflowContext, World) async throws -> Void
    ) async throws -> RecoveryFailure {
        let failure = await #expect(throws: RecoveryFailure.self) { try await self.verify(effects: effects, code) }
        return try #require(failure)
    }

    @Test("when they are idempotent, and when they are not")
    func effects() async throws {
        func verify(isIdempotent: Bool) async throws {
            try await verifyRecovery(
                input: 7,
                world: { World() },
                workflow: { world in
                    Written { (amount: Int, context) async throws -> Nothing in
                        try await context.step("charge") { step in
                            let charge = "\(context.id)-\(step.id): \(amount)"
                            if isIdempotent, world.count(charge) > 0 { return }
                            world.note(charge)
                        }
                        return Nothing()
                    }
                },
                effects: { $0.events }
            )
        }
        try await verify(isIdempotent: true)
        let failure = try #require(
            await #expect(throws: RecoveryFailure.self) { try await verify(isIdempotent: false) }
        )
        #expect(failure.code == .effectRepeated)
        #expect(failure.crash?.description == "between the effect of step 1 'charge' and its checkpoint")
        #expect(
            failure.message.contains(
                #"["under-test-1: 7"], and after the recovery ["under-test-1: 7", "under-test-1: 7"]"#
            )
        )
        #expect(failure.message.contains("idempotency key"))
    }

    /// Charges unless that was done, or without a look.
    private static func toss(isIdempotent: Bool) -> @Sendable (WorkflowContext, World) async throws -> Void {
        { context, world in
            let isHeads = try await context.step("toss") { _ in Bool.random() }
            try await context.step(isHeads ? "charge" : "give") { step in
                let event = isHeads ? "charged" : "given"
                if !isIdempotent || world.count(event) == 0 { world.note(event) }
            }
        }
    }

    @Test("with an undisturbed run in which the coin fell on the same side")
    func coin() async throws {
        _ = try await Self.verify(effects: \.events, Self.toss(isIdempotent: true))
        for _ in 1...4 {
            let failure = try await Self.failure(effects: \.events, Self.toss(isIdempotent: false))
            #expect(failure.code == .effectRepeated)
            #expect(failure.crash?.description.hasPrefix("between the effect of step 2") == true)
        }
    }

    @Test("which must not hold an id of its own in every run; how often it happened can be compared")
    func ids() async throws {
        let code: @Sendable (WorkflowContext, World) async throws -> Void = { context, world in
            let id = try await context.step("id") { _ in UUID().uuidString }
            try await context.step("charge") { _ in world.note(id) }
        }
        let failure = try await Self.failure(effects: \.events, code)
        #expect(failure.code == .effectsIncomparable)
        #expect(failure.crash == nil)
        #expect(failure.message.contains("how often something happened instead of ids and dates"))
        let counted = try await Self.failure(effects: \.events.count, code)
        #expect(counted.code == .effectRepeated)
        #expect(counted.message.contains("the effects were 1, and after the recovery 2"))
        _ = try await Self.verify(effects: { Set($0.events).count }, code)
    }

    @Test("also when the crash lets another step win a race")
    func race() async throws {
        let code: @Sendable (WorkflowContext, World) async throws -> Void = { context, world in
            // Undisturbed the first one wins; after a crash that keeps only its checkpoint from being written, the other one.
            let runners = try [0, 40].map { milliseconds in
                try context.startStep("runner") { _ in
                    try await Task.sleep(for: .milliseconds(milliseconds))
                    return milliseconds
                }
            }
            _ = try await context.firstToFinish(runners).value
            try await context.step("charge") { _ in world.note("charged") }
        }
        let failure = try await Self.failure(effects: \.events, code)
        #expect([.effectRepeated, .effectsIncomparable].contains(failure.code))
    }
}
