// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Shows, promotes, awaits, retires and re-pins the versions of an application.",
        discussion: "Versions belong to an application, so these commands need --application.",
        subcommands: [
            VersionListCommand.self, VersionLatestCommand.self, VersionWaitCommand.self, VersionRetireCommand.self,
            VersionRepinCommand.self,
        ]
    )
}

/// A version on the command line.
struct VersionArgument: ExpressibleByArgument, Equatable {
    let name: String

    init?(argument: String) {
        guard !argument.allSatisfy(\.isWhitespace) else { return nil }
        self.name = argument
    }
}

extension GlobalOptions {
    /// For commands that concern one application.
    func requireApplication() throws {
        guard self.application == nil else { return }
        throw ValidationError("versions belong to an application; give its name with --application")
    }

    /// What a version without a row comes down to.
    func unknown(_ version: String) -> Failure {
        Failure(.notFound, "application '\(self.application ?? "")' has no version '\(version)'")
    }
}

extension VersionReport.Verdict {
    /// The word in documents; the one of tables has blanks.
    var word: String {
        switch self {
        case .safeToDelete: "safeToDelete"
        case .serving, .draining, .stranded, .idle: self.rawValue
        }
    }

    var color: Style.Color? {
        switch self {
        case .serving: .green
        case .draining: .yellow
        case .stranded: .red
        case .safeToDelete, .idle: nil
        }
    }
}

extension StrandedWork {
    /// What is to be done about it.
    var alarm: String {
        let application = self.applicationName.map { "application '\($0)'" } ?? "no application"
        let version = self.version.map { "version '\($0)'" } ?? "no version"
        let count = "\(Counted.workflows(self.workflows)) \(self.workflows == 1 ? "is" : "are") stranded"
        let cure =
            self.version == nil
            ? "start an executor" : "start an executor of this version, or re-pin the work"
        return "\(application), \(version): \(count); \(cure)"
    }
}

enum Counted {
    static func workflows(_ count: Int) -> String { count == 1 ? "1 workflow" : "\(count) workflows" }
}
