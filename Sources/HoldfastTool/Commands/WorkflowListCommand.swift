// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct WorkflowListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists workflows, the newest first.",
        discussion: """
            All conditions must hold; of an option given several times, any value. CHANGED tells how long ago the \
            workflow's state changed last, as this machine's clock has it.

            \(ExitStatus.help)
            """
    )

    @Option(parsing: .upToNextOption, help: "Only these states.")
    var status: [StatusArgument] = []

    @Option(help: "Only workflows of this name.")
    var name: [WorkflowName] = []

    @Option(help: "Only this queue.")
    var queue: [QueueName] = []

    @Option(help: "Only what this executor runs, or ran last.")
    var executor: [ExecutorID] = []

    @Option(help: "Only this application version.")
    var version: [String] = []

    @Option(help: "Only the children of this workflow.")
    var parent: WorkflowID?

    @Option(help: "Only ids that begin with this text.")
    var idPrefix: String?

    @Option(help: ArgumentHelp("Only what was stored since: 2026-11-20T10:00:00Z, 10m, 2h, 3d.", valueName: "time"))
    var since: Moment?

    @Option(help: ArgumentHelp("Only what was stored until then; the same forms.", valueName: "time"))
    var until: Moment?

    @Option(help: "At most this many.")
    var limit = 100

    @Option(help: "Leave out this many first.")
    var offset = 0

    @Flag(help: "The oldest first.")
    var oldestFirst = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard self.limit >= 1 else { throw ValidationError("--limit is \(self.limit); it must be 1 or more") }
        guard self.offset >= 0 else { throw ValidationError("--offset is \(self.offset); it must not be negative") }
        for (option, values) in [("--version", self.version), ("--id-prefix", self.idPrefix.map { [$0] } ?? [])] {
            guard !values.contains(where: { $0.allSatisfy(\.isWhitespace) }) else {
                throw ValidationError("\(option) is blank")
            }
        }
        if let since, let until, until.date < since.date {
            throw ValidationError("--until is before --since, so nothing can match")
        }
    }

    private var filter: WorkflowFilter {
        var filter = WorkflowFilter()
        filter.statuses = self.status.map(\.status)
        filter.names = self.name
        filter.queues = self.queue
        filter.executors = self.executor
        filter.versions = self.version
        filter.parent = self.parent
        filter.idPrefix = self.idPrefix
        filter.createdAfter = self.since?.date
        filter.createdBefore = self.until?.date
        filter.limit = self.limit
        filter.offset = self.offset
        filter.newestFirst = !self.oldestFirst
        return filter
    }

    func run() async throws {
        let workflows = try await self.global.withClient { try await $0.workflows(self.filter) }
        let now = Date()
        try self.global.show(
            json: .array(workflows.map { .object($0.members) }),
            text: { Self.table(workflows, now).rendered($0) },
            whenEmpty: workflows.isEmpty ? "there are no such workflows" : nil
        )
        if workflows.count == self.limit, !self.global.json {
            Terminal.complain(
                "there may be more than these \(self.limit); see the next with --offset \(self.offset + self.limit), "
                    + "or more at once with --limit"
            )
        }
    }

    private static func table(_ workflows: [WorkflowSnapshot], _ now: Date) -> Table {
        var table = Table([
            .left("ID"), .left("STATUS"), .right("CHANGED"), .left("NAME"), .left("QUEUE"), .left("EXECUTOR"),
            .left("VERSION"), .left("CREATED"),
        ])
        for workflow in workflows {
            table.append([
                Table.Cell(workflow.id.rawValue),
                Table.Cell(workflow.status.rawValue, workflow.status.color),
                Table.Cell(TimeText.ago(workflow.updatedAt, now: now)),
                Table.Cell(workflow.name.rawValue),
                Table.Cell(workflow.queue?.rawValue),
                Table.Cell(workflow.executorID?.rawValue),
                Table.Cell(workflow.applicationVersion),
                Table.Cell(TimeText.instant(workflow.createdAt)),
            ])
        }
        return table
    }
}
