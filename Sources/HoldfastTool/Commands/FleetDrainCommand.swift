// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct FleetDrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Asks executors to finish their steps, hand their work over and claim nothing more.",
        discussion: """
            They hear of it with their next heartbeat, and stay until they are stopped. To ask a draining executor again is \
            no mistake. Executors of different applications may have the same id: without --application all of them are \
            asked.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The executors' ids.")
    var executors: [ExecutorID]

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        var seen: Set<ExecutorID> = []
        let ids = self.executors.filter { seen.insert($0).inserted }
        let lines = try await self.global.withClient(changes: true) { client in
            let asked = Set(try await client.drain(ids))
            // The living come first.
            let states = Dictionary(try await client.fleet().map { ($0.executorID, $0.state) }) { first, _ in first }
            return ids.map { id in
                let outcome: Line.Outcome = asked.contains(id) ? .asked : states[id] == nil ? .notFound : .ended
                return Line(id: id, outcome: outcome, state: states[id])
            }
        }
        let others = lines.filter { $0.outcome != .asked }
        let complaint =
            (others.count < lines.count ? "not all were asked: " : "nobody was asked: ")
            + others.map(\.complaint).joined(separator: ", ")
        if lines.allSatisfy({ $0.outcome == .notFound }) { throw Failure(.notFound, complaint) }
        try self.global.show(
            json: .array(lines.map(\.json)),
            text: { Self.table(lines).rendered($0) }
        )
        if !others.isEmpty { throw Failure(.unchanged, complaint) }
    }

    private struct Line: Sendable {
        enum Outcome: String, Sendable { case asked, ended, notFound }

        var id: ExecutorID
        var outcome: Outcome
        var state: FleetMember.State?

        var complaint: String {
            switch self.outcome {
            case .ended: "'\(self.id)' has ended"
            case .asked, .notFound: "no executor has the id '\(self.id)'"
            }
        }

        var json: JSONText {
            .object([
                "executorId": JSONText(self.id),
                "outcome": .string(self.outcome.rawValue),
                "state": JSONText(self.state?.rawValue),
            ])
        }
    }

    private static func table(_ lines: [Line]) -> Table {
        var table = Table([.left("EXECUTOR"), .left("RESULT"), .left("STATE")])
        for line in lines {
            let result =
                switch line.outcome {
                case .asked: "asked"
                case .ended: "ended already"
                case .notFound: "not found"
                }
            table.append([
                Table.Cell(line.id.rawValue),
                Table.Cell(result, line.outcome == .asked ? nil : .yellow),
                Table.Cell(line.state?.rawValue, line.state?.color),
            ])
        }
        return table
    }
}
