// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct VersionLatestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latest",
        abstract: "Prints the latest version, or makes a version the latest.",
        discussion: """
            Work without a version belongs to the latest one, also what is enqueued from now on: so this promotes a version \
            and rolls back. Prints the name of the latest version.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The version to make the latest. Default: none, only print.")
    var version: VersionArgument?

    @OptionGroup var global: GlobalOptions

    func validate() throws { try self.global.requireApplication() }

    func run() async throws {
        let target = self.version?.name
        let versions = try await self.global.withClient(changes: target != nil) { client in
            let versions = try await client.versions()
            if let target {
                // Those without a row are named only by work or executors.
                guard versions.contains(where: { $0.name == target && $0.registeredAt != nil }) else {
                    throw self.global.unknown(target)
                }
                try await client.makeLatest(target)
            }
            return versions
        }
        let former = versions.first(where: \.isLatest)?.name
        guard let latest = target ?? former else {
            throw Failure(.notFound, "application '\(self.global.application ?? "")' has no versions")
        }
        try self.global.show(
            json: .object(["latest": .string(latest), "previous": JSONText(target == nil ? nil : former)]),
            text: { _ in "\(Printable.line(latest))\n" }
        )
        if target != nil, !self.global.json, versions.first(where: { $0.name == latest })?.liveExecutors == 0 {
            Terminal.complain(
                "no executor of version '\(latest)' is alive; work without a version waits until one is"
            )
        }
    }
}

struct VersionRetireCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire",
        abstract: "Forgets a version that has neither executors nor open work.",
        discussion: """
            The latest version is kept, and so is one with open work or live executors (exit code 6). What it finished stays \
            in the database.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The version.")
    var version: VersionArgument

    @OptionGroup var global: GlobalOptions

    func validate() throws { try self.global.requireApplication() }

    func run() async throws {
        let version = self.version.name
        try await self.global.withClient(changes: true) { client in
            guard try await client.versions().contains(where: { $0.name == version }) else {
                throw self.global.unknown(version)
            }
            do {
                try await client.retire(version)
            } catch let error as HoldfastError where error.code == .invalidArgument {
                throw Failure(.unchanged, error.message)
            }
        }
        try self.global.show(
            json: .object(["version": .string(version), "outcome": .string("retired")]),
            text: { style in
                var table = Table([.left("VERSION"), .left("RESULT")])
                table.append([Table.Cell(version), "retired"])
                return table.rendered(style)
            }
        )
    }
}
