// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Foundation
import Holdfast

/// Prints what a scan found.
struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Prints the report of a finished scan: its totals, or all of it."
    )

    enum Format: String, EnumerableFlag {
        case summary, json, sha256sum

        static func help(for value: Format) -> ArgumentHelp? {
            switch value {
            case .summary: "Print the totals, and what could not be read."
            case .json: "Print all of it as JSON."
            case .sha256sum: "Print what sha256sum prints for the same files."
            }
        }
    }

    @Argument(help: "The id that 'inventory scan' printed.")
    var scanID: String

    @Flag(exclusivity: .exclusive)
    var format: Format = .summary

    @OptionGroup var database: DatabaseOptions

    func run() async throws {
        let report = try await self.database.withClient { client in
            let scan = try await client.retrieve(WorkflowID(self.scanID), as: ScanReport.self)
            let status = try await scan.status()
            guard status.isSettled else { throw ValidationError("the scan has not ended: it is \(status)") }
            return try await scan.result()
        }
        let text: Data
        switch self.format {
        case .summary: text = Data(report.summary.utf8)
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            text = try encoder.encode(report) + Data("\n".utf8)
        case .sha256sum: text = Data(report.sha256sum)
        }
        try FileHandle.standardOutput.write(contentsOf: text)
    }
}
