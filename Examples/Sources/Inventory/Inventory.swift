// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser

/// Makes an inventory of a directory: size, lines and SHA-256 of every file, one durable workflow per file.
@main
struct Inventory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inventory",
        abstract: "Makes an inventory of a directory, with one durable workflow per file.",
        subcommands: [WorkCommand.self, ScanCommand.self, ReportCommand.self]
    )

    /// The application all of its workflows, queues and executors belong to.
    static let application = "inventory"
}
