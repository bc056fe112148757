// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Foundation
import Holdfast

/// Starts a scan, and waits for it.
struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Scans a directory: regular files only, symbolic links are not followed.",
        discussion: "The executors do the work. The scan goes on when this command is interrupted."
    )

    @Argument(help: "The directory, as the executors see it.", completion: .directory)
    var directory: String

    @Option(help: "Scan only the first so many files, in the order of their paths.")
    var limit: Int?

    @Flag(help: "Print the scan's id and do not wait.")
    var noWait = false

    @OptionGroup var database: DatabaseOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
    }

    func run() async throws {
        let directory: FilePath
        do throws(SystemError) { directory = try FilePath(self.directory).canonical() } catch {
            throw ValidationError("\(self.directory): \(error)")
        }
        try await self.database.withClient { client in
            let scan = try await client.enqueue(
                ScanWorkflow.self,
                ScanRequest(directory: directory, limit: self.limit),
                on: .scans
            )
            // Not by print, which holds its text back when it goes to a pipe.
            FileHandle.standardOutput.write(Data("\(scan.id)\n".utf8))
            if self.noWait { return }
            let report = try await ScanProgress(client: client, scan: scan).result()
            FileHandle.standardOutput.write(Data(report.summary.utf8))
        }
    }
}
