// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Synchronization
import Testing

@Suite("A patch", .timeLimit(.minutes(5)))
struct PatchTests {
    static let workflow = WorkflowReference<Nothing, [String]>("patched")

    /// The code before the change: `a`, then `old`, then a step that fails until `isOpen`.
    private static func old(_ registry: inout WorkflowRegistry, steps: Int) throws {
        try registry.register(Self.workflow) { _, context in
            var taken = [try await context.step("a") { _ in "a" }]
            if steps > 1 { taken.append(try await context.step("old") { _ in "old" }) }
            try await context.sleep(for: .seconds(3600))
            return taken
        }
    }

    private static func new(_ registry: inout WorkflowRegistry) throws {
        try registry.register(Self.workflow) { _, context in
            var taken = [try await context.step("a") { _ in "a" }]
            if try await context.patch("change") {
                taken.append(try await context.step("new") { _ in "new" })
            } else {
                taken.append(try await context.step("old") { _ in "old" })
            }
            return taken
        }
    }

    @Test("leaves a run that has passed it on the old way, and sends others the new way", arguments: [1, 2])
    func ways(recordedSteps: Int) async throws {
        try await TestDatabase.with { database in
            let id = try await withExecutor(database) {
                try Self.old(&$0, steps: recordedSteps)
            } _: { executor in
                let handle = try await executor.client.start(Self.workflow, Nothing())
                // The sleep's record comes after the steps.
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: recordedSteps + 1)
                return handle.id
            }
            // Without its sleep the old run's record ends after the steps.
            try await database.query("DELETE FROM {s}.operation_outputs WHERE function_name = 'DBOS.sleep'")
            try await withExecutor(database) {
                try Self.new(&$0)
            } _: { executor in
                let handle = try await executor.client.retrieve(id, as: [String].self)
                let taken = try await handle.result()
                #expect(taken == (recordedSteps == 1 ? ["a", "new"] : ["a", "old"]))
                let names = try await executor.client.steps(of: id).map(\.name)
                #expect(names == (recordedSteps == 1 ? ["a", "DBOS.patch-change", "new"] : ["a", "old"]))
            }
        }
    }

    @Test("that is deprecated still skips its marker")
    func deprecated() async throws {
        try await TestDatabase.with { database in
            let id = try await withExecutor(database) { registry in
                try registry.register(Self.workflow) { _, context in
                    _ = try await context.patch("change")
                    _ = try await context.step("new") { _ in "new" }
                    try await context.sleep(for: .seconds(3600))
                    return []
                }
            } _: { executor in
                let handle = try await executor.client.start(Self.workflow, Nothing())
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 3)
                return handle.id
            }
            try await database.query("DELETE FROM {s}.operation_outputs WHERE function_name = 'DBOS.sleep'")
            try await withExecutor(database) { registry in
                try registry.register(Self.workflow) { _, context in
                    try context.deprecatePatch("change")
                    return [try await context.step("new") { _ in "again" }]
                }
            } _: { executor in
                let old = try await executor.client.retrieve(id, as: [String].self)
                #expect(try await old.result() == ["new"])
                let fresh = try await executor.client.start(Self.workflow, Nothing())
                #expect(try await fresh.result() == ["again"])
            }
        }
    }
}
