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
        /// It is the latest and has executors.
        case serving
        /// A newer version is the latest; its executors finish the open work.
        case draining
        /// No open work belongs to it, and it is not the latest: its executors may be stopped, its deployment deleted.
        case safeToDelete = "safe to delete"
        /// Open work belongs to it and nobody can run it: start an executor of this version, or re-pin the work.
        case stranded
        /// It is the latest, without executors and without open work.
        case idle
    }

    /// The version's name.
    public var name: String
    /// Whether work without a version belongs to it.
    public var isLatest: Bool
    /// When it was registered or made the latest; `nil` when only work or executors name it.
    public var registeredAt: Date?
    /// Executors that are alive.
    public var liveExecutors: Int
    /// Waiting workflows.
    public var enqueued: Int
    /// Running workflows.
    public var pending: Int
    /// Workflows that wait for their time.
    public var delayed: Int
    /// When the oldest open workflow was stored.
    public var oldestOpenAt: Date?

    /// Open workflows.
    public var open: Int { self.enqueued + self.pending + self.delayed }

    /// What an operator may do about it.
    public var verdict: Verdict {
        if self.open > 0 && self.liveExecutors == 0 { return .stranded }
        if self.isLatest { return self.liveExecutors > 0 ? .serving : .idle }
        return self.open == 0 ? .safeToDelete : .draining
    }
}

/// Whether a workflow's record fits the code of another version.
public struct ReplayVerdict: Sendable, Codable {
    /// The workflow.
    public var workflowID: WorkflowID
    /// Whether the code calls the recorded operations in the recorded order.
    public var isCompatible: Bool
    /// The first step that does not fit.
    public var step: StepID?
    /// What is different there.
    public var detail: String?
}
