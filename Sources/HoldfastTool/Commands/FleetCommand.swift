// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct FleetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet",
        abstract: "Shows and drains executors.",
        subcommands: [FleetStatusCommand.self, FleetDrainCommand.self]
    )
}

struct FleetStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Lists the executors that live, ended within the hour, or left work behind.",
        discussion: """
            OWNED counts the running workflows that the executor owns; for one that ended, those that nobody has taken \
            over yet. An executor that was asked to drain hears of it with its next heartbeat; until then that stands beside \
            its state. All times are by the database's clock. Versions whose work nobody claims are named on the standard \
            error stream: those of --application, or of all applications that had executors within a week.

            \(ExitStatus.help)
            """
    )

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let (members, stranded) = try await self.global.withClient { client in
            // A document is printed alone.
            (try await client.fleet(), self.global.json ? [] : try await client.strandedWork())
        }
        try self.global.show(
            json: .array(members.map { JSONText($0) }),
            text: { Self.table(members).rendered($0) },
            whenEmpty: members.isEmpty ? "there are no executors" : nil
        )
        for work in stranded { Terminal.complain(work.alarm) }
    }

    private static func table(_ members: [FleetMember]) -> Table {
        var table = Table([
            .left("EXECUTOR"), .left("STATE"), .left("APPLICATION"), .left("VERSION"), .left("HOST"), .right("PID"),
            .right("RUNNING"), .right("OWNED"), .right("HEARTBEAT"), .right("LEASE"), .left("ENDED"),
        ])
        for member in members {
            table.append([
                Table.Cell(member.executorID.rawValue),
                Table.Cell(member.stateText, member.stateColor),
                Table.Cell(member.applicationName),
                Table.Cell(member.applicationVersion),
                Table.Cell(member.host),
                Table.Cell(member.pid),
                // What an ended executor ran last says nothing about now.
                Table.Cell(member.isAlive ? "\(member.running)/\(member.capacity)" : nil),
                Table.Cell(member.ownedWorkflows, !member.isAlive && member.ownedWorkflows > 0 ? .red : nil),
                Table.Cell("\(TimeText.duration(member.heartbeatAge)) ago"),
                Self.lease(member),
                Self.end(member),
            ])
        }
        return table
    }

    private static func lease(_ member: FleetMember) -> Table.Cell {
        guard member.isAlive else { return Table.Cell(String?.none) }
        let remaining = TimeText.duration(member.leaseRemaining)
        guard member.leaseRemaining < .zero else { return Table.Cell("\(remaining) left") }
        return Table.Cell("expired \(remaining.drop { $0 == "-" }) ago", .red)
    }

    private static func end(_ member: FleetMember) -> Table.Cell {
        guard let reason = member.endReason else { return Table.Cell(String?.none) }
        // One that shut down ended itself.
        let other = member.endedBy.flatMap { $0 == member.executorID ? nil : " by \($0)" }
        return Table.Cell(reason + (other ?? ""), member.state == .dead ? .red : nil)
    }
}

extension FleetMember.State {
    var color: Style.Color? {
        switch self {
        case .active: .green
        case .draining: .yellow
        case .dead: .red
        case .stopped: .faint
        default: nil
        }
    }
}

extension FleetMember {
    var isAlive: Bool { self.state != .dead && self.state != .stopped }

    /// Whether it has not heard yet that it is to drain.
    var isDrainPending: Bool { self.state == .active && self.isDrainRequested }

    var stateText: String { self.state.rawValue + (self.isDrainPending ? " (drain asked)" : "") }

    var stateColor: Style.Color? { self.isDrainPending ? FleetMember.State.draining.color : self.state.color }
}

extension JSONText {
    fileprivate init(_ member: FleetMember) {
        self = .object([
            "executorId": JSONText(member.executorID),
            "incarnation": .string(member.incarnation),
            "state": .string(member.state.rawValue),
            "drainRequested": .bool(member.isDrainRequested),
            "applicationName": .string(member.applicationName),
            "applicationVersion": .string(member.applicationVersion),
            "host": .string(member.host),
            "pid": .integer(member.pid),
            "running": .integer(member.running),
            "capacity": .integer(member.capacity),
            "ownedWorkflows": .integer(member.ownedWorkflows),
            "startedAt": JSONText(member.startedAt),
            "heartbeatAgeSeconds": JSONText(seconds: member.heartbeatAge.inSeconds),
            "leaseRemainingSeconds": JSONText(seconds: member.leaseRemaining.inSeconds),
            "hasLeaseSession": .bool(member.hasLeaseSession),
            "endReason": JSONText(member.endReason),
            "endedBy": JSONText(member.endedBy),
        ])
    }
}
