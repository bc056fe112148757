// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct VersionWaitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Waits until nothing of a version is open.",
        discussion: """
            Ends as soon as the version is safe to delete. Says so when its work is stranded, and goes on waiting. The exit \
            code is 6 when the time is up, and when the version is the latest: to that one work keeps coming.

            \(ExitStatus.help)
            """
    )

    private static let interval: Duration = .milliseconds(500)

    @Argument(help: "The version.")
    var version: VersionArgument

    @Option(help: ArgumentHelp("How long to wait. Default: without end.", valueName: "seconds"))
    var timeout: Double?

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        try self.global.requireApplication()
        guard let timeout = self.timeout else { return }
        guard timeout >= 0, timeout <= 31_536_000 else {
            throw ValidationError("--timeout is \(timeout); it must be from 0 to 31536000")
        }
    }

    func run() async throws {
        let version = self.version.name
        try await self.global.withClient { try await self.waitUntilDrained($0) }
        try self.global.show(
            json: .object([
                "version": .string(version), "verdict": .string(VersionReport.Verdict.safeToDelete.word),
            ]),
            text: { style in
                var table = Table([.left("VERSION"), .left("VERDICT")])
                table.append([Table.Cell(version), Table.Cell(VersionReport.Verdict.safeToDelete.rawValue)])
                return table.rendered(style)
            }
        )
    }

    private func waitUntilDrained(_ client: HoldfastClient) async throws {
        let version = self.version.name
        let end = self.timeout.map { ContinuousClock.now.advanced(by: .seconds($0)) }
        var wasStranded = false
        while true {
            guard let report = try await client.versions().first(where: { $0.name == version }) else {
                throw self.global.unknown(version)
            }
            if report.isLatest {
                let cure = "make another version the latest first"
                throw Failure(.unchanged, "version '\(version)' is the latest, so work keeps coming to it; \(cure)")
            }
            if report.open == 0 { return }
            let isStranded = report.verdict == .stranded
            if isStranded, !wasStranded {
                let work = StrandedWork(
                    applicationName: self.global.application,
                    version: version,
                    workflows: report.open
                )
                Terminal.complain(work.alarm)
            }
            wasStranded = isStranded
            if let end, ContinuousClock.now >= end {
                let open =
                    "\(Counted.workflows(report.open)) of version '\(version)' \(report.open == 1 ? "is" : "are")"
                throw Failure(.unchanged, "\(open) still open after \(TimeText.duration(self.timeout ?? 0))")
            }
            try await Task.sleep(for: Self.interval)
        }
    }
}
