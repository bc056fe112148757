// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct VersionListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the versions of an application with what is open of them, the latest first.",
        discussion: """
            The verdicts:
              serving         it is the latest, and its executors claim work
              idle            it is the latest, without executors and without open work
              draining        another one is the latest; its executors finish the open work
              stranded        nobody claims its open work: start an executor or re-pin
              safe to delete  nothing is open: stop its executors, then retire it

            EXECUTORS counts the live ones, draining ones included. Work without a version of its own is counted with the \
            latest one, to which it belongs. OLDEST is the age of the oldest open workflow.

            \(ExitStatus.help)
            """
    )

    @OptionGroup var global: GlobalOptions

    func validate() throws { try self.global.requireApplication() }

    func run() async throws {
        let versions = try await self.global.withClient { try await $0.versions() }
        let now = Date()
        try self.global.show(
            json: .array(versions.map { JSONText($0) }),
            text: { Self.table(versions, now).rendered($0) },
            whenEmpty: versions.isEmpty ? "there are no versions" : nil
        )
    }

    private static func table(_ versions: [VersionReport], _ now: Date) -> Table {
        var table = Table([
            .left("VERSION"), .left("LATEST"), .right("EXECUTORS"), .right("ENQUEUED"), .right("PENDING"),
            .right("DELAYED"), .left("OLDEST"), .left("VERDICT"),
        ])
        for version in versions {
            table.append([
                Table.Cell(version.name),
                version.isLatest ? "yes" : "no",
                Table.Cell(version.liveExecutors),
                Table.Cell(version.enqueued),
                Table.Cell(version.pending),
                Table.Cell(version.delayed),
                Table.Cell(version.oldestOpenAt.map { TimeText.ago($0, now: now) }),
                Table.Cell(version.verdict.rawValue, version.verdict.color),
            ])
        }
        return table
    }
}

extension JSONText {
    fileprivate init(_ version: VersionReport) {
        self = .object([
            "name": .string(version.name),
            "latest": .bool(version.isLatest),
            "registeredAt": JSONText(version.registeredAt),
            "liveExecutors": .integer(version.liveExecutors),
            "drainingExecutors": .integer(version.drainingExecutors),
            "enqueued": .integer(version.enqueued),
            "pending": .integer(version.pending),
            "delayed": .integer(version.delayed),
            "unversioned": .integer(version.unversioned),
            "oldestOpenAt": JSONText(version.oldestOpenAt),
            "verdict": .string(version.verdict.word),
        ])
    }
}
