// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct WorkflowWhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Says why a workflow does not go on, in one sentence.",
        discussion: ExitStatus.help
    )

    @Argument(help: "The workflow's id.")
    var id: WorkflowID

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let explanation = try await self.global.withClient { try await $0.explain(self.id) }
        try self.global.show(
            json: .object([
                "workflowId": JSONText(explanation.workflowID),
                "reason": .string(explanation.reason),
                "sentence": .string(explanation.sentence),
            ]),
            text: { _ in "\(Printable.line(explanation.sentence))\n" }
        )
    }
}
