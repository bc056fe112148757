// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct VersionRepinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repin",
        abstract: "Gives the open work of one version to another.",
        discussion: """
            What a live executor of the old version runs stays with it; then the exit code is 6. Drain that executor and \
            repeat the call.

            With --dry-run nothing is changed: a live executor of the new version replays the record of every open workflow \
            against its code, up to the end of the record. The exit code is 6 if any of them diverges or cannot be compared, \
            and 1 if no such executor is alive and claims work, or if not all records are compared in time.

            \(ExitStatus.help)
            """
    )

    @Option(help: ArgumentHelp("The version that has the work.", valueName: "version"))
    var from: VersionArgument

    @Option(help: ArgumentHelp("The version that gets it.", valueName: "version"))
    var to: VersionArgument

    @Flag(help: "Change nothing; say which workflows fit the other version's code.")
    var dryRun = false

    @Option(help: ArgumentHelp("How long a dry run waits for the answers. Default: 60.", valueName: "seconds"))
    var timeout: Double?

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        try self.global.requireApplication()
        guard self.from != self.to else { throw ValidationError("--from and --to name the same version") }
        guard let timeout = self.timeout else { return }
        guard self.dryRun else { throw ValidationError("--timeout is for --dry-run only") }
        guard timeout > 0, timeout <= 86_400 else {
            throw ValidationError("--timeout is \(timeout); it must be more than 0 and at most 86400")
        }
    }

    func run() async throws { try await self.dryRun ? self.check() : self.move() }

    private func move() async throws {
        let (from, to) = (self.from.name, self.to.name)
        let (moved, left, owners) = try await self.global.withClient(changes: true) { client in
            try await self.requireVersions(client)
            let moved = try await client.repin(from: from, to: to)
            let report = try await client.versions().first { $0.name == from }
            // What has no version of its own belongs to the latest one, and cannot be re-pinned.
            let left = report.map { $0.open - $0.unversioned } ?? 0
            let owners =
                left == 0
                ? []
                : try await client.fleet().filter {
                    $0.applicationVersion == from && $0.ownedWorkflows > 0
                }
            return (moved, left, owners)
        }
        try self.global.show(
            json: .object([
                "from": .string(from), "to": .string(to), "moved": .integer(moved), "left": .integer(left),
            ]),
            text: { style in
                var table = Table([.left("FROM"), .left("TO"), .right("MOVED"), .right("LEFT")])
                table.append([
                    Table.Cell(from), Table.Cell(to), Table.Cell(moved), Table.Cell(left, left > 0 ? .yellow : nil),
                ])
                return table.rendered(style)
            }
        )
        guard left > 0 else { return }
        throw Failure(
            .unchanged,
            (moved > 0 ? "not all were re-pinned: " : "nothing was re-pinned: ")
                + "\(Counted.workflows(left)) stayed with version '\(from)'\(Self.reason(owners))"
        )
    }

    private static func reason(_ owners: [FleetMember]) -> String {
        if owners.isEmpty { return "; repeat the call" }
        let list = owners.map { owner in
            let state = owner.state == .active ? "" : ", \(owner.state.rawValue)"
            return "'\(owner.executorID)' (\(owner.ownedWorkflows)\(state))"
        }
        return
            ", because executors own what is left: \(list.joined(separator: ", ")); drain or stop those, and repeat the call"
    }

    private func check() async throws {
        let (from, to) = (self.from.name, self.to.name)
        let verdicts = try await self.global.withClient(changes: true) { client in
            try await self.requireVersions(client)
            return try await client.checkRepin(from: from, to: to, timeout: .seconds(self.timeout ?? 60))
        }
        try self.global.show(
            json: .array(verdicts.map { JSONText($0) }),
            text: { Self.table(verdicts).rendered($0) },
            whenEmpty: verdicts.isEmpty ? "version '\(from)' has no open workflows" : nil
        )
        let diverging = verdicts.filter { $0.isCompared && !$0.isCompatible }.count
        let unread = verdicts.filter { !$0.isCompared }.count
        let findings = [
            diverging == 0
                ? nil
                : "\(diverging) of \(Counted.workflows(verdicts.count)) "
                    + "\(diverging == 1 ? "diverges" : "diverge") from the code of version '\(to)'",
            unread == 0 ? nil : "\(Counted.workflows(unread)) could not be compared",
        ].compactMap(\.self)
        guard !findings.isEmpty else { return }
        throw Failure(.unchanged, "nothing was changed: \(findings.joined(separator: ", and "))")
    }

    /// The library takes an unknown version for one without work.
    private func requireVersions(_ client: HoldfastClient) async throws {
        let versions = try await client.versions()
        guard versions.contains(where: { $0.name == self.from.name }) else {
            throw self.global.unknown(self.from.name)
        }
        guard versions.contains(where: { $0.name == self.to.name && $0.registeredAt != nil }) else {
            throw self.global.unknown(self.to.name)
        }
    }

    private static func table(_ verdicts: [ReplayVerdict]) -> Table {
        var table = Table([.left("ID"), .left("RESULT"), .right("STEP"), .left("DETAIL")])
        for verdict in verdicts {
            table.append([
                Table.Cell(verdict.workflowID.rawValue),
                verdict.isCompatible
                    ? Table.Cell("compatible", .green)
                    : verdict.isCompared ? Table.Cell("diverges", .red) : Table.Cell("not compared", .yellow),
                Table.Cell(verdict.stepNumber),
                Table.Cell(verdict.detail),
            ])
        }
        return table
    }
}

extension ReplayVerdict {
    /// Steps are counted from 1; what differs before the first one is no step.
    fileprivate var stepNumber: Int? { self.step.flatMap { $0.number > 0 ? Int($0.number) : nil } }
}

extension JSONText {
    fileprivate init(_ verdict: ReplayVerdict) {
        self = .object([
            "workflowId": JSONText(verdict.workflowID),
            "compared": .bool(verdict.isCompared),
            "compatible": .bool(verdict.isCompatible),
            "step": JSONText(verdict.stepNumber),
            "detail": JSONText(verdict.detail),
        ])
    }
}
