// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastTestKit
import Synchronization
import Testing

@Suite("verifyRecovery catches a workflow", .timeLimit(.minutes(5)))
struct FragileWorkflowTests {
    private func failure<Output: Codable & Sendable>(
        options: RecoveryOptions = RecoveryOptions(),
        _ code: @escaping @Sendable (Nothing, WorkflowContext) async throws -> Output
    ) async throws -> RecoveryFailure {
        let failure = await #expect(throws: RecoveryFailure.self) {
            try await verifyRecovery(of: Written(code), input: Nothing(), options: options)
        }
        return try #require(failure)
    }

    @Test("that decides by chance outside of steps")
    func chance() async throws {
        let failure = try await self.failure { _, context in
            try await context.step("first") { _ in }
            if Bool.random() {
                try await context.step("heads") { _ in }
            } else {
                try await context.step("tails") { _ in }
            }
            return Nothing()
        }
        #expect(failure.code == .nondeterministic)
        #expect(failure.step == StepID(2))
        #expect(failure.message.contains("is recorded, but the code calls"))
        #expect(failure.message.contains("put time, randomness and I/O into steps"))
    }

    @Test("that calls one step more by chance")
    func oneMore() async throws {
        let failure = try await self.failure { _, context in
            try await context.step("first") { _ in }
            if Bool.random() { try await context.step("second") { _ in } }
            return Nothing()
        }
        #expect(failure.code == .nondeterministic)
        #expect(failure.step == StepID(2))
    }

    @Test("whose order of steps depends on the time")
    func time() async throws {
        let failure = try await self.failure { _, context in
            let began = ContinuousClock.now
            try await context.step("slow") { _ in try await Task.sleep(for: .milliseconds(20)) }
            // Undisturbed this is always so; answered from the record the step takes no time.
            let names: [StepName] = ContinuousClock.now - began > .milliseconds(10) ? ["a", "b"] : ["b", "a"]
            for name in names { try await context.step(name) { _ in } }
            return Nothing()
        }
        #expect(failure.code == .nondeterministic)
        #expect(failure.step == StepID(2))
        #expect(failure.message.contains("step 2: 'a' is recorded, but the code calls 'b'"))
    }

    @Test("whose result is not recorded")
    func unrecordedResult() async throws {
        let failure = try await self.failure { _, context in
            try await context.step("first") { _ in }
            return UUID().uuidString
        }
        #expect(failure.code == .nondeterministic)
        #expect(failure.step == nil)
        #expect(failure.message.contains("but the code returns"))
    }

    @Test("whose failure is not recorded")
    func unrecordedFailure() async throws {
        let failure = try await self.failure { (_, context) async throws -> Nothing in
            try await context.step("first") { _ in }
            throw Refused(reason: UUID().uuidString)
        }
        #expect(failure.code == .nondeterministic)
        #expect(failure.step == nil)
        #expect(failure.message.contains("but the code throws Refused"))
    }

    @Test("that counts in a variable what its steps do")
    func variable() async throws {
        let failure = try await self.failure { _, context in
            var total = 0
            for name in ["a", "b"] as [StepName] { try await context.step(name) { _ in total += 5 } }
            return total
        }
        #expect(failure.code == .nondeterministic)
        #expect(failure.message.contains("it returned 10, but the code returns 0"))
        #expect(failure.message.contains("a variable that the code of a step changes"))
    }

    @Test("that decides by what is outside, when only the recovery decides otherwise")
    func world() async throws {
        let failure = try #require(
            await #expect(throws: RecoveryFailure.self) {
                try await verifyRecovery(
                    input: Nothing(),
                    world: { World() },
                    workflow: { world in
                        Written { (_: Nothing, context) async throws -> Nothing in
                            world.note("run")
                            // The first run of a world, and the first replay, take one way, every later run the other.
                            try await context.step(world.count("run") == 1 ? "first" : "later") { _ in }
                            return Nothing()
                        }
                    },
                    effects: { _ in true },
                    // Of four points the first and the third: in between it is another fault, that of another way.
                    options: RecoveryOptions(maxCrashes: 2, replays: 1)
                )
            }
        )
        #expect(failure.code == .nondeterministic)
        #expect(failure.crash?.description == "right after the checkpoint of step 1 'first'")
        #expect(failure.message.contains("step 1: 'first' is recorded here, but the code now calls 'later'"))
    }

    /// Keeps in memory what it has fetched.
    struct Forgetful: Workflow {
        static let name: WorkflowName = "forgetful"

        final class Memory: Sendable {
            let session = Mutex<String?>(nil)
        }

        let memory = Memory()

        func run(_ input: Nothing, context: WorkflowContext) async throws -> String {
            try await context.step("log in") { _ in self.memory.session.withLock { $0 = "session" } }
            return try await context.step("use") { _ in
                guard let session = self.memory.session.withLock({ $0 }) else { throw Refused(reason: "not logged in") }
                return session
            }
        }
    }

    @Test("whose step needs what another left in memory")
    func memory() async throws {
        let failure = try #require(
            await #expect(throws: RecoveryFailure.self) {
                try await verifyRecovery(of: Forgetful(), input: Nothing())
            }
        )
        #expect(failure.code == .different)
        #expect(failure.step == StepID(2))
        #expect(failure.crash?.description == "right after the checkpoint of step 1 'log in'")
        #expect(failure.message.contains(#"step 2 'use' recorded "session", and after the recovery the error"#))
        #expect(failure.message.contains("not logged in"))
    }

    @Test("whose child is the culprit, and names the child")
    func child() async throws {
        let failure = try #require(
            await #expect(throws: RecoveryFailure.self) {
                try await verifyRecovery(
                    of: Written { (_: Nothing, context) async throws -> String in
                        try await context.run(Forgetful.self, Nothing())
                    },
                    input: Nothing()
                ) { registry in
                    try registry.register(Forgetful())
                }
            }
        )
        #expect(failure.code == .different)
        #expect(failure.workflow == "forgetful")
        #expect(failure.step == StepID(2))
        #expect(
            failure.crash?.description == "right after the checkpoint of step 1 'log in' of its child 'forgetful' (/1)"
        )
    }

    @Test("that waits for a child nobody knows, and says for what it waits")
    func stuck() async throws {
        let failure = try await self.failure(options: RecoveryOptions(timeLimit: .seconds(5))) { _, context in
            try await context.run(Forgetful.self, Nothing())
        }
        #expect(failure.code == .stuck)
        #expect(failure.crash == nil)
        #expect(failure.message.contains("forgetful"))
        #expect(failure.message.contains("register"))
    }

    @Test("only where the fault lies: nonsense in the options is refused")
    func options() async throws {
        for options in [RecoveryOptions(maxCrashes: -1), RecoveryOptions(replays: 0)] {
            let error = try #require(
                await #expect(throws: TestKitError.self) {
                    try await verifyRecovery(of: Forgetful(), input: Nothing(), options: options)
                }
            )
            #expect(error.code == .invalidArgument)
        }
    }
}
