// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("A child workflow without a result", .timeLimit(.minutes(5)))
struct ChildFailureTests {
    static let child = WorkflowReference<String, Int>("child")
    static let middle = WorkflowReference<String, Int>("middle")

    private static func register(_ registry: inout WorkflowRegistry) throws {
        try registry.register(Self.child, options: WorkflowOptions(maxRecoveryAttempts: 0)) { how, context in
            if how == "wait" { try await context.sleep(for: .seconds(3600)) }
            throw RecordedError(name: "Boom", message: "bang", code: "7", data: #"{"a":1}"#)
        }
        try registry.register(Self.middle) { how, context in
            let child = try await context.start(Self.child, how, options: .init(id: "grandchild"))
            return try await context.result(of: child)
        }
    }

    /// A parent that tells how its child ended.
    @Sendable private static func tell(_ input: [String], _ context: WorkflowContext) async throws -> String {
        let workflow = input[0] == "middle" ? Self.middle : Self.child
        let child = try await context.start(workflow, input[1], options: .init(id: "child"))
        do { return "\(try await context.result(of: child))" } catch let failure as WorkflowFailure {
            if case .failed(let id, let error) = failure {
                return "failed \(id) \(error) \(error.code ?? "") \(error.data ?? "")"
            }
            return "\(failure)"
        }
    }

    @Test("because it failed, is the same failure live and on replay")
    func failed() async throws {
        try await withWorkflow(register: Self.register, Self.tell) { scenario in
            let live = try await scenario.run(["child", "throw"])
            #expect(live == #"failed child Boom: bang 7 {"a":1}"#)
            let replayed = try await scenario.replay()
            #expect(replayed == live)
        }
    }

    @Test("because it was cancelled, is the same failure live and on replay")
    func cancelled() async throws {
        try await withWorkflow(register: Self.register, Self.tell) { scenario in
            let handle = try await scenario.start(["child", "wait"])
            try await scenario.database.until("child", is: .pending)
            try await scenario.client.cancel("child")
            let live = try await handle.result()
            #expect(live == "workflow 'child' was cancelled")
            let replayed = try await scenario.replay()
            #expect(replayed == live)
        }
    }

    @Test("because it was given up, is the same failure live and on replay")
    func givenUp() async throws {
        try await withWorkflow(register: Self.register, Self.tell) { scenario in
            let handle = try await scenario.start(["child", "wait"])
            try await scenario.database.until("child", is: .pending)
            // Two executors died of it.
            try await scenario.database.query(
                "UPDATE {s}.workflow_status SET recovery_attempts = 2 WHERE workflow_uuid = 'child'"
            )
            try await scenario.database.loseOutcome(of: "child")
            let live = try await handle.result()
            #expect(live == "workflow 'child' was dispatched too often without an outcome; resume it to try again")
            let replayed = try await scenario.replay()
            #expect(replayed == live)
        }
    }

    @Test("because its own child was cancelled, is a failure and not a cancellation")
    func grandchildCancelled() async throws {
        try await withWorkflow(register: Self.register, Self.tell) { scenario in
            let handle = try await scenario.start(["middle", "wait"])
            try await scenario.database.until("grandchild", is: .pending)
            try await scenario.client.cancel("grandchild")
            let live = try await handle.result()
            #expect(live.hasPrefix("failed child AwaitedWorkflowCancelled: workflow 'grandchild' was cancelled"))
            let replayed = try await scenario.replay()
            #expect(replayed == live)
            let outside = await failure { _ = try await scenario.client.retrieve("child", as: Int.self).result() }
            #expect(outside.hasPrefix("workflow 'child' failed: AwaitedWorkflowCancelled: workflow 'grandchild'"))
        }
    }

    @Test("because somebody deleted it, is an error instead of a wait without end")
    func deleted() async throws {
        try await withWorkflow(register: Self.register, Self.tell) { scenario in
            let handle = try await scenario.start(["child", "wait"])
            try await scenario.database.until("child", is: .pending)
            try await scenario.database.query("DELETE FROM {s}.workflow_status WHERE workflow_uuid = 'child'")
            let text = await failure { _ = try await handle.result() }
            #expect(text.contains("NonExistentWorkflow: no workflow has the id 'child' any more"))
        }
    }

    @Test("is cancelled with its parent and its own children when asked")
    func recursively() async throws {
        try await withWorkflow(register: Self.register, Self.tell) { scenario in
            let handle = try await scenario.start(["middle", "wait"])
            try await scenario.database.until("grandchild", is: .pending)
            let cancelled = try await scenario.client.cancel(["w"], children: true)
            #expect(cancelled == ["w", "child", "grandchild"])
            let text = await failure { _ = try await handle.result() }
            #expect(text == "workflow 'w' was cancelled")
            let rows = try await scenario.database.count(
                "SELECT count(*) FROM {s}.workflow_status WHERE status = 'CANCELLED'"
            )
            #expect(rows == 3)
        }
    }
}
