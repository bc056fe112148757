// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Shows queues.",
        subcommands: [QueueListCommand.self]
    )
}

struct QueueListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the queues with what waits and runs on them.",
        discussion: """
            Queues that no executor has registered are listed when work is on them; --application does not hide those, \
            because they belong to nobody.

            \(ExitStatus.help)
            """
    )

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let queues = try await self.global.withClient { try await $0.queues() }
        let now = Date()
        try self.global.show(
            json: .array(queues.map { JSONText($0) }),
            text: { Self.table(queues, now).rendered($0) },
            whenEmpty: queues.isEmpty ? "there are no queues" : nil
        )
    }

    private static func table(_ queues: [QueueSnapshot], _ now: Date) -> Table {
        var table = Table([
            .left("QUEUE"), .left("REGISTERED"), .left("APPLICATION"), .right("ENQUEUED"), .right("PENDING"),
            .right("DELAYED"), .left("OLDEST"), .right("CONCURRENCY"), .right("PER EXECUTOR"), .left("RATE LIMIT"),
        ])
        for queue in queues {
            let rate = queue.rateLimit.map { limit in
                "\(limit) per \(TimeText.duration(queue.ratePeriodSeconds ?? 0))"
            }
            table.append([
                Table.Cell(queue.name.rawValue),
                queue.isRegistered ? "yes" : Table.Cell("no", .yellow),
                Table.Cell(queue.applicationName),
                Table.Cell(queue.enqueued),
                Table.Cell(queue.pending),
                Table.Cell(queue.delayed),
                Table.Cell(queue.oldestEnqueued.map { TimeText.ago($0, now: now) }),
                Table.Cell(queue.concurrency),
                Table.Cell(queue.workerConcurrency),
                Table.Cell(rate),
            ])
        }
        return table
    }
}

extension QueueSnapshot {
    fileprivate var oldestEnqueued: Date? {
        self.oldestEnqueuedAt.map { Date(timeIntervalSince1970: Double($0) / 1000) }
    }
}

extension JSONText {
    fileprivate init(_ queue: QueueSnapshot) {
        self = .object([
            "name": JSONText(queue.name),
            "registered": .bool(queue.isRegistered),
            "applicationName": JSONText(queue.applicationName),
            "concurrency": JSONText(queue.concurrency),
            "workerConcurrency": JSONText(queue.workerConcurrency),
            "rateLimit": JSONText(queue.rateLimit),
            "ratePeriodSeconds": JSONText(seconds: queue.ratePeriodSeconds),
            "enqueued": .integer(queue.enqueued),
            "pending": .integer(queue.pending),
            "delayed": .integer(queue.delayed),
            "oldestEnqueuedAt": JSONText(queue.oldestEnqueued),
        ])
    }
}
