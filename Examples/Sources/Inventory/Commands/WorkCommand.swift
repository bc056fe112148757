// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast
import Logging
import ServiceLifecycle
import UnixSignals

/// Runs an executor until SIGTERM or SIGINT.
struct WorkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "work",
        abstract: "Runs an executor. Start as many as you like, on any machine that sees the same files.",
        discussion: "On SIGTERM and SIGINT it ends the steps that run, and gives the rest of its work back."
    )

    @OptionGroup var database: DatabaseOptions

    @Option(help: "A name no other running executor has. Default: host, process and chance.")
    var executorID: String?

    @Option(help: "How many files it works on at once.")
    var concurrency = 32

    @Option(name: .customLong("version"), help: "The version of the code. Default: a digest of this executable.")
    var applicationVersion: String?

    @Option(help: "A folder for two files, `alive` and `ready`, at whose age probes look.")
    var healthFolder: String?

    func validate() throws {
        guard self.concurrency >= 1 else { throw ValidationError("--concurrency must be 1 or more") }
    }

    func run() async throws {
        let logger = Logger(label: "inventory", factory: { StreamLogHandler.standardError(label: $0) })
        let executor = try Inventory.executor(
            database: try self.database.configuration(),
            id: self.executorID.map { ExecutorID($0) },
            version: self.applicationVersion,
            concurrency: self.concurrency,
            logger: logger
        )
        // systemd is told if it wants to be; elsewhere that does nothing.
        let service = SupervisedExecutor(
            executor,
            reportingTo: [.systemd] + (self.healthFolder.map { [.folder($0)] } ?? []),
            logger: logger
        )
        let group = ServiceGroup(
            services: [service],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        do {
            try await group.run()
        } catch let error as HoldfastError where error.code == .slotTaken {
            logger.critical("\(error)")
            throw ExitCode(Self.slotTakenStatus)
        }
    }

    /// Tells a supervisor not to start it again; see `RestartPreventExitStatus` in `deploy/systemd`. `EX_CONFIG` of sysexits.h.
    static let slotTakenStatus: Int32 = 78
}
