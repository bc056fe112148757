// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Shows, promotes, retires and re-pins the versions of an application.",
        discussion: "Versions belong to an application, so these commands need --application.",
        subcommands: [
            VersionListCommand.self, VersionLatestCommand.self, VersionRetireCommand.self, VersionRepinCommand.self,
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

extension VersionReport {
    /// What keeps it from being retired; `nil` when nothing is known to.
    var hindrance: String? {
        let work = self.open == 0 ? nil : "\(Counted.workflows(self.open)) of it \(self.open == 1 ? "is" : "are") open"
        let live = self.liveExecutors
        let executors =
            live == 0 ? nil : "\(live) executor\(live == 1 ? "" : "s") of it \(live == 1 ? "is" : "are") alive"
        let latest = self.isLatest ? "it is the latest" : nil
        let hindrances = [latest, work, executors].compactMap(\.self)
        return hindrances.isEmpty ? nil : hindrances.joined(separator: ", ")
    }

    /// What is to be done about work that nobody can run; `nil` for other verdicts.
    func alarm(application: String) -> String? {
        guard self.verdict == .stranded else { return nil }
        let count = "\(Counted.workflows(self.open)) \(self.open == 1 ? "is" : "are") stranded"
        let cure = "start an executor of this version, or re-pin the work"
        return "application '\(application)', version '\(self.name)': \(count); \(cure)"
    }
}

enum Counted {
    static func workflows(_ count: Int) -> String { count == 1 ? "1 workflow" : "\(count) workflows" }
}
