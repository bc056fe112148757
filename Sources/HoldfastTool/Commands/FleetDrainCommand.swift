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
            asked. With --version all live executors of that version are asked; those that start later are not.

            With --wait the command ends when all that were asked are idle or have ended. The exit code is 6 when the time is \
            up before.

            \(ExitStatus.help)
            """
    )

    private static let interval: Duration = .milliseconds(250)

    @Argument(help: "The executors' ids.")
    var executors: [ExecutorID] = []

    @Option(help: ArgumentHelp("All executors of this version, instead of naming them.", valueName: "version"))
    var version: VersionArgument?

    @Flag(help: "Wait until those that were asked run nothing and own nothing any more.")
    var wait = false

    @Option(help: ArgumentHelp("How long to wait. Default: without end.", valueName: "seconds"))
    var timeout: Double?

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard self.executors.isEmpty != (self.version == nil) else {
            throw ValidationError("name either executors or their --version")
        }
        guard let timeout = self.timeout else { return }
        guard self.wait else { throw ValidationError("--timeout is for --wait only") }
        guard timeout >= 0, timeout <= 31_536_000 else {
            throw ValidationError("--timeout is \(timeout); it must be from 0 to 31536000")
        }
    }

    func run() async throws {
        let (lines, busy) = try await self.global.withClient(changes: true) { client in
            var lines = try await self.ask(client)
            let asked = Set(lines.filter { $0.outcome == .asked }.map(\.id))
            guard self.wait, !asked.isEmpty else { return (lines, [FleetMember]()) }
            let (members, busy) = try await self.untilIdle(asked, client)
            let busyIDs = Set(busy.map(\.executorID))
            for index in lines.indices where lines[index].outcome == .asked {
                let id = lines[index].id
                lines[index].outcome = busyIDs.contains(id) ? .busy : .idle
                lines[index].member = members.first { $0.executorID == id && (!busyIDs.contains(id) || !$0.isIdle) }
            }
            return (lines, busy)
        }
        let others = lines.filter { $0.outcome == .ended || $0.outcome == .notFound }
        let complaint =
            (others.count < lines.count ? "not all were asked: " : "nobody was asked: ")
            + others.map(\.complaint).joined(separator: ", ")
        if lines.allSatisfy({ $0.outcome == .notFound }) { throw Failure(.notFound, complaint) }
        try self.global.show(
            json: .array(lines.map(\.json)),
            text: { Self.table(lines).rendered($0) }
        )
        let complaints = [
            others.isEmpty ? nil : complaint,
            busy.isEmpty
                ? nil
                : "not all are idle after \(TimeText.duration(self.timeout ?? 0)): "
                    + busy.map(\.hindrance).joined(separator: ", "),
        ].compactMap(\.self)
        if !complaints.isEmpty { throw Failure(.unchanged, complaints.joined(separator: "; ")) }
    }

    private func ask(_ client: HoldfastClient) async throws -> [Line] {
        var seen: Set<ExecutorID> = []
        var ids = self.executors.filter { seen.insert($0).inserted }
        let asked: Set<ExecutorID>
        if let version = self.version?.name {
            asked = Set(try await client.drain(version: version))
            guard !asked.isEmpty else {
                throw Failure(.notFound, "nobody was asked: no executor of version '\(version)' is alive")
            }
            ids = asked.sorted { $0.rawValue < $1.rawValue }
        } else {
            asked = Set(try await client.drain(ids))
        }
        // The living come first.
        let members = Dictionary(try await client.fleet().map { ($0.executorID, $0) }) { first, _ in first }
        return ids.map { id in
            let outcome: Line.Outcome = asked.contains(id) ? .asked : members[id] == nil ? .notFound : .ended
            return Line(id: id, outcome: outcome, member: members[id])
        }
    }

    /// - Returns: Those that were asked as they are at the end, and those among them that are not idle when the time is up.
    private func untilIdle(
        _ asked: Set<ExecutorID>,
        _ client: HoldfastClient
    ) async throws -> (members: [FleetMember], busy: [FleetMember]) {
        let end = self.timeout.map { ContinuousClock.now.advanced(by: .seconds($0)) }
        // By the lives that were asked: a process that begins in one of these slots is another one. One that joins again takes
        // the request along into its next life.
        var lives: Set<String> = []
        while true {
            let fleet = try await client.fleet().filter { member in
                lives.contains(member.incarnation)
                    || (member.isAlive && member.isDrainRequested && asked.contains(member.executorID))
            }
            lives.formUnion(fleet.map(\.incarnation))
            let busy = fleet.filter { !$0.isIdle }
            if busy.isEmpty { return (fleet, []) }
            if let end, ContinuousClock.now >= end { return (fleet, busy) }
            try await Task.sleep(for: Self.interval)
        }
    }

    private struct Line: Sendable {
        enum Outcome: String, Sendable { case asked, idle, busy, ended, notFound }

        var id: ExecutorID
        var outcome: Outcome
        var member: FleetMember?

        var complaint: String {
            self.outcome == .ended ? "'\(self.id)' has ended" : "no executor has the id '\(self.id)'"
        }

        var json: JSONText {
            .object([
                "executorId": JSONText(self.id),
                "outcome": .string(self.outcome.rawValue),
                "state": JSONText(self.member?.state.rawValue),
            ])
        }
    }

    private static func table(_ lines: [Line]) -> Table {
        var table = Table([.left("EXECUTOR"), .left("RESULT"), .left("STATE")])
        for line in lines {
            let result =
                switch line.outcome {
                case .ended: "ended already"
                case .notFound: "not found"
                default: line.outcome.rawValue
                }
            table.append([
                Table.Cell(line.id.rawValue),
                Table.Cell(result, line.outcome == .asked || line.outcome == .idle ? nil : .yellow),
                Table.Cell(line.member?.stateText, line.member?.stateColor),
            ])
        }
        return table
    }
}

extension FleetMember {
    /// Whether it runs nothing and will not: it has heard of the drain, or it has ended.
    fileprivate var isIdle: Bool {
        !self.isAlive || (self.state == .draining && self.running == 0 && self.ownedWorkflows == 0)
    }

    fileprivate var hindrance: String {
        if self.leaseRemaining < .zero { return "'\(self.executorID)' is silent and its lease has expired" }
        return self.state == .active
            ? "'\(self.executorID)' has not heard of it"
            : "'\(self.executorID)' owns \(Counted.workflows(self.ownedWorkflows))"
    }
}
