// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Why a workflow has no result: an outcome of the workflow, not a fault of the call.
public enum WorkflowFailure: Error, Sendable, CustomStringConvertible {
    /// Its code threw.
    case failed(WorkflowID, RecordedError)
    /// It was cancelled, or its deadline passed.
    case cancelled(WorkflowID)
    /// It was dispatched too often without an outcome.
    case recoveryAttemptsExceeded(WorkflowID)

    /// The workflow.
    public var workflowID: WorkflowID {
        switch self {
        case .failed(let id, _), .cancelled(let id), .recoveryAttemptsExceeded(let id): id
        }
    }

    /// A sentence that names the workflow.
    public var description: String {
        switch self {
        case .failed(let id, let error): "workflow '\(id)' failed: \(error)"
        case .cancelled(let id): "workflow '\(id)' was cancelled"
        case .recoveryAttemptsExceeded(let id):
            "workflow '\(id)' was dispatched too often without an outcome; resume it to try again"
        }
    }
}

/// An error as the journal keeps it. A step throws it live as well as on replay, so that code sees the same error in both.
public struct RecordedError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The name of the error's type.
    public var name: String
    /// Its description.
    public var message: String
    /// Its code: a number or a text.
    public var code: String?
    /// More about it, as JSON text.
    public var data: String?

    /// Makes a recorded error; throw it from a workflow to choose exactly what is stored.
    public init(name: String, message: String, code: String? = nil, data: String? = nil) {
        self.name = name
        self.message = message
        self.code = code
        self.data = data
    }

    /// The name and the message.
    public var description: String { "\(self.name): \(self.message)" }
}

/// Ends an execution without an outcome: it was cancelled, its ownership is lost, or the executor is shutting down.
///
/// It cannot be kept from doing so: whatever the workflow's code catches, the next durable operation throws it again, and
/// what `run` returns is discarded.
public struct WorkflowInterruption: Error, Sendable, CustomStringConvertible {
    /// The workflow.
    public let workflowID: WorkflowID
    /// What happened.
    public let reason: String

    /// A sentence that names the workflow.
    public var description: String { "workflow '\(self.workflowID)' was interrupted: \(self.reason)" }
}
