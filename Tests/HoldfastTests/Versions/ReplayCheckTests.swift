// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

/// The record of a workflow that was interrupted amid parallel steps has gaps: later steps ended before earlier ones.
@Suite("The replay check of a record with gaps", .timeLimit(.minutes(5)))
struct ReplayCheckTests {
    private static let workflow = WorkflowReference<Nothing, Nothing>("gaps")

    /// Steps 1 to 3 by handles, 4 to 6 by `map`, and `names` in between the former.
    private static func code(handles names: [StepName]) -> (inout WorkflowRegistry) throws -> Void {
        { registry in
            try registry.register(Self.workflow) { _, context in
                let handles = try names.map { name in try context.startStep(name) { _ in Nothing() } }
                for handle in handles { _ = try await handle.value }
                _ = try await context.map([1, 2, 3], step: "mapped") { _, _ in Nothing() }
                try await context.sleep(for: .seconds(3600))
                return Nothing()
            }
        }
    }

    @Test("ends where the code would have to wait for a step that is not recorded", arguments: [2, 5])
    func gap(missing: Int32) async throws {
        try await TestDatabase.with { database in
            let same: [StepName] = ["a", "b", "c"]
            let id = try await withExecutor(database, version: "v1", register: Self.code(handles: same)) { executor in
                let handle = try await executor.client.start(Self.workflow, Nothing())
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 7)
                return handle.id
            }
            // What an interruption leaves of a group of parallel steps of which one is not done.
            let last: Int32 = missing <= 3 ? 3 : 6
            try await database.query(
                "DELETE FROM {s}.operation_outputs WHERE function_id = \(missing) OR function_id > \(last)"
            )
            for (names, divergence) in [(same, nil), (["a", "b", "x"], 3), (["a", "b"], 3)] as [([StepName], Int32?)] {
                try await withExecutor(database, version: "v\(names)", register: Self.code(handles: names)) {
                    executor in
                    let verdicts = try await executor.client.checkRepin(from: "v1", to: "v\(names)")
                    #expect(verdicts.map(\.workflowID) == [id])
                    #expect(verdicts.map(\.step) == [divergence.map { StepID($0) }], "\(names)")
                    #expect(verdicts.map(\.isCompatible) == [divergence == nil], "\(names)")
                }
            }
        }
    }
}
