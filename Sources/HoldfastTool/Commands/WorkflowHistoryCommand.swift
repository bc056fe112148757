// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct WorkflowHistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Lists the takeovers of a workflow: who lost it, who put it back into its queue, when and why.",
        discussion: """
            STRIKES counts the executors that have died under the workflow since its last checkpoint. DECISION is what \
            followed: requeued, delayed, or quarantined, that is given up until it is resumed.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The workflow's id.")
    var id: WorkflowID

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let takeovers = try await self.global.withClient { client in
            let takeovers = try await client.takeovers(of: self.id)
            // An id with a mistake in it has no history either.
            if takeovers.isEmpty { _ = try await client.workflow(self.id) }
            return takeovers
        }
        let now = Date()
        try self.global.show(
            json: .array(takeovers.map { JSONText($0) }),
            text: { Self.table(takeovers, now).rendered($0) },
            whenEmpty: takeovers.isEmpty ? "workflow '\(self.id)' has never been taken over" : nil
        )
    }

    static func table(_ takeovers: [Takeover], _ now: Date) -> Table {
        var table = Table([
            .left("AT"), .right("AGE"), .left("FROM"), .left("BY"), .left("VERSION"), .left("REASON"),
            .right("STRIKES"), .left("DECISION"),
        ])
        for takeover in takeovers {
            table.append([
                Table.Cell(TimeText.instant(takeover.at)),
                Table.Cell(TimeText.ago(takeover.at, now: now)),
                Table.Cell(takeover.from.rawValue),
                Table.Cell(takeover.by.rawValue),
                Table.Cell(takeover.applicationVersion),
                Table.Cell(takeover.reason),
                Table.Cell(takeover.strikes),
                Table.Cell(takeover.decision, Self.color(ofDecision: takeover.decision)),
            ])
        }
        return table
    }

    private static func color(ofDecision decision: String) -> Style.Color? {
        switch decision {
        case "delayed": .yellow
        case "quarantined": .red
        default: nil
        }
    }
}

extension JSONText {
    init(_ takeover: Takeover) {
        self = .object([
            "at": JSONText(takeover.at),
            "from": JSONText(takeover.from),
            "by": JSONText(takeover.by),
            "applicationVersion": JSONText(takeover.applicationVersion),
            "reason": .string(takeover.reason),
            "strikes": .integer(takeover.strikes),
            "decision": .string(takeover.decision),
        ])
    }
}
