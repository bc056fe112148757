// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// One version of an application: who runs it and what work belongs to it.
public struct VersionReport: Sendable, Codable {
    /// What an operator may do about a version.
    public enum Verdict: String, Sendable, Codable {
        /// It is the latest, and executors claim its work.
        case serving
        /// Another version is the latest; executors of this one finish its open work.
        case draining
        /// No open work belongs to it, and it is not the latest: its executors may be stopped and its deployment deleted;
        /// after that it can be retired.
        case safeToDelete = "safe to delete"
        /// Open work belongs to it and nobody claims it, because no executor of it lives or all of them were drained: start
        /// an executor of this version, or re-pin the work.
        case stranded
        /// It is the latest, without open work and without executors that would claim some.
        case idle
    }

    /// The version's name.
    public var name: String
    /// Whether work without a version belongs to it.
    public var isLatest: Bool
    /// When it was registered or made the latest; `nil` when only work or executors name it.
    public var registeredAt: Date?
    /// Executors that are alive, draining ones included.
    public var liveExecutors: Int
    /// Live executors that claim nothing more, because they are shutting down or were drained.
    public var drainingExecutors: Int
    /// Waiting workflows.
    public var enqueued: Int
    /// Running workflows.
    public var pending: Int
    /// Workflows that wait for their time.
    public var delayed: Int
    /// How many of the open workflows have no version of their own; they belong to whichever version is the latest.
    public var unversioned: Int
    /// When the oldest open workflow was stored.
    public var oldestOpenAt: Date?

    /// Open workflows.
    public var open: Int { self.enqueued + self.pending + self.delayed }

    /// What an operator may do about it.
    public var verdict: Verdict {
        let claims = self.liveExecutors > self.drainingExecutors
        if self.open > 0 && !claims { return .stranded }
        if self.isLatest { return claims ? .serving : .idle }
        return self.open == 0 ? .safeToDelete : .draining
    }

    /// What keeps it from being retired, and what to do about it; `nil` when nothing is known to.
    package var hindrance: String? {
        func counted(_ count: Int, _ what: String) -> String? {
            count == 0 ? nil : "\(count) \(what)\(count == 1 ? "" : "s") of it \(count == 1 ? "is" : "are")"
        }
        let hindrances = [
            self.isLatest ? "it is the latest" : nil, counted(self.open, "workflow").map { "\($0) open" },
            counted(self.liveExecutors, "executor").map { "\($0) alive" },
        ].compactMap(\.self)
        if hindrances.isEmpty { return nil }
        let cure =
            self.isLatest
            ? "make another version the latest first"
            : self.open > 0
                ? "let its executors finish the work, or re-pin it"
                : self.liveExecutors == 1 ? "stop it first" : "stop them first"
        return "\(hindrances.joined(separator: ", ")); \(cure)"
    }
}

/// Open work of one version that no live executor claims: start an executor of this version, or re-pin the work.
public struct StrandedWork: Sendable, Codable {
    /// The application it belongs to; `nil`: any.
    public var applicationName: String?
    /// The version it belongs to, by its own record or as the latest one; `nil`: any latest one.
    public var version: String?
    /// How many workflows it is.
    public var workflows: Int

    /// Makes a report.
    public init(applicationName: String?, version: String?, workflows: Int) {
        self.applicationName = applicationName
        self.version = version
        self.workflows = workflows
    }
}

/// Whether a workflow's record fits the code of another version.
public struct ReplayVerdict: Sendable, Codable {
    /// The workflow.
    public var workflowID: WorkflowID
    /// Whether its record was compared with the code. It cannot be when it is not portable JSON, or was deleted meanwhile.
    public var isCompared: Bool
    /// Whether the code calls the recorded operations in the recorded order.
    public var isCompatible: Bool
    /// The first step that does not fit.
    public var step: StepID?
    /// What is different there, or why nothing was compared.
    public var detail: String?
}
