// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A name or id that is stored in the database as text.
///
/// Write them as string literals, or declare them once as typed constants:
/// ```swift
/// extension QueueName { static let fulfilment: Self = "fulfilment" }
/// ```
public protocol TextIdentifier: RawRepresentable, ExpressibleByStringInterpolation, Hashable, Sendable, Codable,
    CustomStringConvertible, Comparable
where RawValue == String {
    /// Makes the identifier from its text.
    init(rawValue: String)
}

extension TextIdentifier {
    /// Makes the identifier from its text.
    public init(_ text: String) { self.init(rawValue: text) }

    /// Makes the identifier from a literal.
    public init(stringLiteral value: String) { self.init(rawValue: value) }

    /// The text itself.
    public var description: String { self.rawValue }

    /// Orders identifiers by their text.
    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }

    /// Blank identifiers are refused everywhere: in the table they could not be told from a mistake.
    var isBlank: Bool { self.rawValue.allSatisfy(\.isWhitespace) }
}

/// The id of one workflow; its idempotency key. Any text that is not blank.
public struct WorkflowID: TextIdentifier {
    /// The text in `workflow_uuid`.
    public let rawValue: String
    /// Makes the id from its text.
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// The name a workflow is registered under: a key in the database, so it is written out and never derived from a type.
public struct WorkflowName: TextIdentifier {
    /// The text in `name`.
    public let rawValue: String
    /// Makes the name from its text.
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// The name of a queue. Names that begin with `_dbos_` are reserved.
public struct QueueName: TextIdentifier {
    /// The text in `queue_name`.
    public let rawValue: String
    /// Makes the name from its text.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The queue of work that was started directly and has to run again, or was resumed.
    public static let `internal` = QueueName(rawValue: SystemDatabase.internalQueue)
}

/// The name of an executor's slot: unique among live executors, stable across restarts of the same slot.
public struct ExecutorID: TextIdentifier {
    /// The text in `executor_id`.
    public let rawValue: String
    /// Makes the id from its text.
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// The name of a step, recorded in the journal and compared on replay.
public struct StepName: TextIdentifier {
    /// The text in `function_name`.
    public let rawValue: String
    /// Makes the name from its text.
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// The number of an operation in its workflow, from 1, in the order of the calls.
public struct StepID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The number in `function_id`.
    public let number: Int32
    /// Makes the id of the operation with this number.
    public init(_ number: Int32) { self.number = number }
    /// The number as text.
    public var description: String { String(self.number) }
    /// Orders operations by their number.
    public static func < (lhs: StepID, rhs: StepID) -> Bool { lhs.number < rhs.number }
}
