// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A durable function: its completed steps survive any crash and are never run again.
///
/// ```swift
/// struct Checkout: Workflow {
///     static let name: WorkflowName = "checkout"
///     let payments: any Payments
///
///     func run(_ order: Order, context: WorkflowContext) async throws -> Receipt {
///         try await context.step("charge") { step in
///             try await payments.charge(order.total, idempotencyKey: "\(context.id)-\(step.id)")
///         }
///     }
/// }
/// ```
///
/// `run` is called again after a crash, with the recorded results of the steps that were completed. So everything that
/// is not the same on every run (time, randomness, I/O) belongs into steps, and durable operations are called in the same
/// order on every run.
public protocol Workflow: Sendable {
    /// What it is started with.
    associatedtype Input: Codable & Sendable
    /// What it returns. ``Nothing`` stands for no value.
    associatedtype Output: Codable & Sendable

    /// The key in the database. Renaming it strands the workflows that are under way.
    static var name: WorkflowName { get }
    /// How it is recovered.
    static var options: WorkflowOptions { get }

    /// The code.
    func run(_ input: Input, context: WorkflowContext) async throws -> Output
}

extension Workflow {
    /// The defaults.
    public static var options: WorkflowOptions { WorkflowOptions() }
    /// The typed name by which clients start it without its code.
    public static var reference: WorkflowReference<Input, Output> { WorkflowReference(Self.name) }
}

/// How a workflow is recovered.
public struct WorkflowOptions: Sendable, Hashable {
    /// After how many recoveries a workflow is given up as a dead letter; `nil` never gives up. Default: 100.
    ///
    /// With a limit of *n* it is run at most *n* + 1 times.
    public var maxRecoveryAttempts: Int?

    /// Makes options.
    public init(maxRecoveryAttempts: Int? = 100) { self.maxRecoveryAttempts = maxRecoveryAttempts }
}

/// A workflow's name with its types: enough to start it, without its code and in whatever language it is written.
public struct WorkflowReference<Input: Codable & Sendable, Output: Codable & Sendable>: Sendable, Hashable {
    /// The name it is registered under.
    public let name: WorkflowName

    /// Makes a reference to the workflow of this name.
    public init(_ name: WorkflowName) { self.name = name }
}

/// No value: the input or output of a workflow that has none. Stored as `null`.
public struct Nothing: Codable, Sendable, Hashable {
    /// The only value.
    public init() {}

    /// Reads whatever is there: nothing is asked of it.
    public init(from decoder: any Decoder) throws {}

    /// Writes `null`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }
}
