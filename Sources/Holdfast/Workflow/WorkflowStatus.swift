// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The state of a workflow in the database.
///
/// An open set: a newer program may write states this one does not know.
public struct WorkflowStatus: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The text in `status`.
    public let rawValue: String
    /// Makes the status from its text.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Enqueued, but not to be claimed before its time.
    public static let delayed = WorkflowStatus(rawValue: "DELAYED")
    /// Waiting on a queue.
    public static let enqueued = WorkflowStatus(rawValue: "ENQUEUED")
    /// Owned by an executor.
    public static let pending = WorkflowStatus(rawValue: "PENDING")
    /// Returned a value. Final.
    public static let success = WorkflowStatus(rawValue: "SUCCESS")
    /// Threw an error. Final.
    public static let error = WorkflowStatus(rawValue: "ERROR")
    /// Cancelled by request or because its deadline passed; can be resumed.
    public static let cancelled = WorkflowStatus(rawValue: "CANCELLED")
    /// Dispatched too often without an outcome; can be resumed.
    public static let recoveryAttemptsExceeded = WorkflowStatus(rawValue: "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

    /// Every state a workflow can leave by itself.
    public static let active: [WorkflowStatus] = [.delayed, .enqueued, .pending]
    /// Every state of the data model.
    public static let all: [WorkflowStatus] = Self.active + [.success, .error, .cancelled, .recoveryAttemptsExceeded]

    /// Whether nothing more happens to the workflow by itself.
    public var isSettled: Bool {
        switch self {
        case .success, .error, .cancelled, .recoveryAttemptsExceeded: true
        default: false
        }
    }

    /// The text itself.
    public var description: String { self.rawValue }
}
