// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Which workflows to list. All conditions must hold; an empty list means any value.
public struct WorkflowFilter: Sendable {
    /// These ids; then the application does not matter.
    public var ids: [WorkflowID] = []
    /// Ids that begin with this text.
    public var idPrefix: String?
    /// These states.
    public var statuses: [WorkflowStatus] = []
    /// These workflows.
    public var names: [WorkflowName] = []
    /// These queues.
    public var queues: [QueueName] = []
    /// Run, or run last, by these executors.
    public var executors: [ExecutorID] = []
    /// These application versions.
    public var versions: [String] = []
    /// Children of this workflow.
    public var parent: WorkflowID?
    /// Stored at this moment or later.
    public var createdAfter: Date?
    /// Stored at this moment or earlier.
    public var createdBefore: Date?
    /// At most this many.
    public var limit = 100
    /// Leave out this many first.
    public var offset = 0
    /// The newest first.
    public var newestFirst = true
    /// Whether inputs, outputs and errors are read as well.
    public var loadsPayloads = false

    /// Makes a filter that lets everything through.
    public init() {}
}
