// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct WorkflowCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancels workflows that are not finished.",
        discussion: """
            Running workflows stop at their next durable operation, within about a second. Finished ones stay as they are. \
            To cancel a workflow that is cancelled already is no mistake.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The workflows' ids.")
    var ids: [WorkflowID]

    @Flag(help: "Cancel their children as well, down to the last.")
    var children = false

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let ids = self.ids.withoutRepetitions
        let report = try await self.global.withClient(changes: true) { client in
            let changed = try await client.cancel(ids, children: self.children)
            return try await ControlReport(asked: ids, changed: changed, as: "cancelled", client)
        }
        try report.end(self.global)
    }
}

struct WorkflowResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Puts cancelled, given-up or waiting workflows onto a queue again.",
        discussion: """
            Recorded steps are not run again. Finished workflows stay as they are. A running one is taken away from its \
            executor and runs again: resume only what is not running, unless you mean it. If any of the ids is unknown, \
            nothing is resumed.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The workflows' ids.")
    var ids: [WorkflowID]

    @Option(help: "The queue. Default: the internal one, which every executor claims from.")
    var queue: QueueName?

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let ids = self.ids.withoutRepetitions
        let report = try await self.global.withClient(changes: true) { client in
            let changed = try await client.resume(ids, on: self.queue)
            return try await ControlReport(asked: ids, changed: changed, as: "resumed", client)
        }
        try report.end(self.global)
    }
}

/// What became of each of the workflows that were to be changed.
struct ControlReport: Sendable {
    struct Line: Sendable {
        enum Outcome: String, Sendable { case changed, finished, notFound }

        var id: WorkflowID
        var outcome: Outcome
        var status: WorkflowStatus?
    }

    /// `cancelled` or `resumed`.
    let verb: String
    let lines: [Line]

    /// Looks at all of them after the change.
    init(asked: [WorkflowID], changed: [WorkflowID], as verb: String, _ client: HoldfastClient) async throws {
        let changed = Set(changed)
        let ids = asked + changed.subtracting(asked).sorted()
        var filter = WorkflowFilter()
        filter.ids = ids
        filter.limit = ids.count
        let statuses = Dictionary(try await client.workflows(filter).map { ($0.id, $0.status) }) { $1 }
        self.verb = verb
        self.lines = ids.map { id in
            let status = statuses[id]
            return Line(
                id: id,
                outcome: changed.contains(id) ? .changed : status == nil ? .notFound : .finished,
                status: status
            )
        }
    }

    private var unchanged: [Line] { self.lines.filter { $0.outcome != .changed } }

    /// Prints it, and fails unless all were changed. The document is printed then, too: it says which were.
    func end(_ global: GlobalOptions) throws {
        if self.lines.allSatisfy({ $0.outcome == .notFound }) {
            throw Failure(.notFound, self.complaint)
        }
        try global.show(
            json: .array(self.lines.map(self.json)),
            text: { self.table.rendered($0) }
        )
        if !self.unchanged.isEmpty { throw Failure(.unchanged, self.complaint) }
    }

    private var complaint: String {
        let reasons = self.unchanged.map { line in
            switch line.status {
            case let status?: "'\(line.id)' is finished (\(status))"
            case nil: "no workflow has the id '\(line.id)'"
            }
        }
        let isPartial = self.unchanged.count < self.lines.count
        return (isPartial ? "not all were \(self.verb): " : "nothing was \(self.verb): ")
            + reasons.joined(separator: ", ")
    }

    private func word(_ line: Line) -> String {
        switch line.outcome {
        case .changed: self.verb
        case .finished, .notFound: line.outcome.rawValue
        }
    }

    private func json(_ line: Line) -> JSONText {
        .object([
            "id": JSONText(line.id),
            "outcome": .string(self.word(line)),
            "status": JSONText(line.status?.rawValue),
        ])
    }

    private var table: Table {
        var table = Table([.left("ID"), .left("RESULT"), .left("STATUS")])
        for line in self.lines {
            let result =
                switch line.outcome {
                case .changed: self.verb
                case .finished: "finished already"
                case .notFound: "not found"
                }
            table.append([
                Table.Cell(line.id.rawValue),
                Table.Cell(result, line.outcome == .changed ? nil : .yellow),
                Table.Cell(line.status?.rawValue, line.status?.color),
            ])
        }
        return table
    }
}

extension [WorkflowID] {
    fileprivate var withoutRepetitions: [WorkflowID] {
        var seen: Set<WorkflowID> = []
        return self.filter { seen.insert($0).inserted }
    }
}
