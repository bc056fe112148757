// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser

/// The root of the command line.
struct HoldfastCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Looks after a Holdfast system database and the workflows in it.",
        discussion: """
            Every command needs the URL of the system database, from --database-url or from the environment variable \
            HOLDFAST_DATABASE_URL. The variable keeps the password out of the process list.

            \(ExitStatus.help)
            """,
        subcommands: [
            MigrateCommand.self, WorkflowCommand.self, QueueCommand.self, FleetCommand.self, VersionCommand.self,
        ]
    )
}
