// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct WorkflowGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Shows everything about one workflow, with its input, output and takeovers.",
        discussion: ExitStatus.help
    )

    @Argument(help: "The workflow's id.")
    var id: WorkflowID

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let (workflow, takeovers) = try await self.global.withClient { client in
            (try await client.workflow(self.id), try await client.takeovers(of: self.id))
        }
        let payloads = Payloads(workflow)
        let now = Date()
        try self.global.show(
            json: .object(
                workflow.members.merging([
                    "serialization": JSONText(workflow.serialization),
                    "input": JSONText(payloads.input),
                    "output": JSONText(payloads.output),
                    "error": JSONText(payloads.error),
                    "takeovers": .array(takeovers.map { JSONText($0) }),
                ]) { $1 }
            ),
            text: { style in
                var text = Self.fields(workflow, now).rendered(style)
                for (title, payload) in [
                    ("Input", payloads.input), ("Output", payloads.output), ("Error", payloads.error),
                ] {
                    guard let payload else { continue }
                    text += "\n\(style.paint(title, .bold))\n"
                    text += payload.lines.map { "  \($0)\n" }.joined()
                }
                if !takeovers.isEmpty {
                    text += "\n\(style.paint("Takeovers", .bold))\n"
                    text += WorkflowHistoryCommand.table(takeovers, now).rendered(style)
                }
                return text
            }
        )
    }

    private struct Payloads {
        var input: Payload?
        var output: Payload?
        var error: Payload?

        init(_ workflow: WorkflowSnapshot) {
            self.input = Payload(workflow.input, serialization: workflow.serialization)
            self.output = Payload(workflow.output, serialization: workflow.serialization)
            self.error = Payload(workflow.error, serialization: workflow.serialization)
        }
    }

    private static func fields(_ workflow: WorkflowSnapshot, _ now: Date) -> Fields {
        func moment(_ date: Date?) -> String? { date.map { TimeText.instantAndAge($0, now: now) } }
        var fields = Fields()
        fields.add("ID", workflow.id.rawValue)
        fields.add("Name", workflow.name.rawValue)
        fields.add("Status", workflow.status.rawValue, workflow.status.color)
        fields.add("Queue", workflow.queue?.rawValue)
        fields.add("Executor", workflow.executorID?.rawValue)
        fields.add("Application", workflow.applicationName ?? "any")
        fields.add("Version", workflow.applicationVersion ?? "the latest")
        fields.add("Created", moment(workflow.createdAt))
        fields.add("Last claimed", moment(workflow.startedAt))
        fields.add("Changed", moment(workflow.updatedAt))
        fields.add("Completed", moment(workflow.completedAt))
        fields.add("Delayed until", moment(workflow.delayedUntil))
        fields.add("Timeout", workflow.timeout.map { TimeText.duration($0) })
        fields.add("Deadline", moment(workflow.deadline))
        fields.add("Dispatched", workflow.recoveryAttempts == 1 ? "once" : "\(workflow.recoveryAttempts) times")
        fields.add("Priority", workflow.priority == 0 ? nil : String(workflow.priority))
        fields.add("Parent", workflow.parentID?.rawValue)
        fields.add("Forked from", workflow.forkedFrom?.rawValue)
        fields.add("Deduplication", workflow.deduplicationID)
        fields.add("Serialization", workflow.serialization)
        return fields
    }
}
