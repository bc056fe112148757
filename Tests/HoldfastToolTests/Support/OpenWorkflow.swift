// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// A workflow whose code differs between versions.
enum Versioned {
    static let workflow = WorkflowReference<String, String>("versioned")

    /// Steps of these names, and then the end, or a sleep of an hour.
    static func code(_ steps: [StepName], finishes: Bool = true) -> (inout WorkflowRegistry) throws -> Void {
        { registry in
            try registry.register(self.workflow) { _, context in
                for name in steps { _ = try await context.step(name) { _ in name.rawValue } }
                if !finishes { try await context.sleep(for: .seconds(3600)) }
                return "done"
            }
        }
    }
}

extension ToolDatabase {
    /// Leaves open workflows of version v1 in their queue, with the steps `a` and `b` recorded.
    func leaveOpen(_ ids: WorkflowID...) async throws {
        try await self.withExecutor(register: Versioned.code(["a", "b"], finishes: false)) { executor in
            for id in ids {
                _ = try await executor.client.enqueue(
                    Versioned.workflow,
                    "",
                    on: "work",
                    options: EnqueueOptions(id: id)
                )
            }
            for id in ids {
                while try await executor.client.steps(of: id).count < 3 { try await Task.sleep(for: .milliseconds(20)) }
            }
        }
        try await self.query("DELETE FROM {s}.operation_outputs WHERE function_name = 'DBOS.sleep'")
    }

    /// Runs a command for the application of the tests.
    func ofApplication(_ arguments: String...) async throws -> Tool.Answer {
        try await self.tool.run(arguments + ["--application", "test-app"])
    }
}
