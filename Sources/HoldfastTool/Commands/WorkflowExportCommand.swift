// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct WorkflowExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Prints the history of a workflow as a JSON document to be kept.",
        discussion: """
            The document holds the workflow's input, every recorded step and the outcome. Kept beside the code, it tells \
            whether later code still fits it: HoldfastTestKit's replay(history:against:) compares them in a test.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The workflow's id.")
    var id: WorkflowID

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let history = try await self.global.withClient { try await $0.history(of: self.id).json }
        try Terminal.print(history)
    }
}
