// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct WorkflowStepsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "steps",
        abstract: "Lists the recorded steps of a workflow.",
        discussion: """
            Times are by the database's clock. A sleep is recorded with the moment at which it ends. Results are cut to fit \
            the table; --json gives them whole.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The workflow's id.")
    var id: WorkflowID

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let steps = try await self.global.withClient { try await $0.steps(of: self.id) }
        try self.global.show(
            json: .array(steps.map { JSONText($0) }),
            text: { Self.table(steps).rendered($0) },
            whenEmpty: steps.isEmpty ? "workflow '\(self.id)' has not recorded any step" : nil
        )
    }

    private static func table(_ steps: [StepSnapshot]) -> Table {
        var table = Table([
            .right("STEP"), .left("NAME"), .left("STARTED"), .right("TOOK"), .left("CHILD"), .left("RESULT"),
        ])
        for step in steps {
            let took = step.startedAt.flatMap { start in step.completedAt.map { $0.timeIntervalSince(start) } }
            let output = Payload(step.output, serialization: step.serialization)
            let error = Payload(step.error, serialization: step.serialization)
            table.append([
                Table.Cell(step.id.description),
                Table.Cell(step.name),
                Table.Cell(step.startedAt.map { TimeText.instant($0) }),
                Table.Cell(took.map { TimeText.duration($0) }),
                Table.Cell(step.childID?.rawValue),
                error.map { Table.Cell("error: \($0.preview())", .red) } ?? Table.Cell(output?.preview()),
            ])
        }
        return table
    }
}

extension JSONText {
    fileprivate init(_ step: StepSnapshot) {
        self = .object([
            "step": .integer(Int(step.id.number)),
            "name": .string(step.name),
            "output": JSONText(Payload(step.output, serialization: step.serialization)),
            "error": JSONText(Payload(step.error, serialization: step.serialization)),
            "childId": JSONText(step.childID),
            "startedAt": JSONText(step.startedAt),
            "completedAt": JSONText(step.completedAt),
            "serialization": JSONText(step.serialization),
        ])
    }
}
