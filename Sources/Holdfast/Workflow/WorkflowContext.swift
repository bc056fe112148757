// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
public import Logging

/// A workflow's view of its own run: every durable operation goes through it.
///
/// It is deliberately not `Sendable`. The compiler then refuses `async let`, `addTask` and `Task {}` around durable
/// operations, which is the rule that keeps the order of the calls, and so the numbers of the steps, the same on every
/// run. Parallel work has its own operations: ``startStep(_:retry:_:)``, ``map(_:step:maxConcurrency:retry:_:)`` and child
/// workflows.
public final class WorkflowContext {
    let execution: Execution
    var journal: Journal
    /// The task the workflow runs in; programs in Swift 5 mode have no compiler to keep them inside it.
    private let ownerTask: Int?
    var isInStep = false

    /// The id of the workflow that runs, where it can be read without a context, for instance by libraries that log.
    @TaskLocal public static var currentID: WorkflowID?

    init(execution: Execution, journal: Journal) {
        self.execution = execution
        self.journal = journal
        self.ownerTask = Self.currentTask
    }

    /// The workflow's id.
    public var id: WorkflowID { self.execution.workflowID }

    /// The name it is registered under.
    public var name: WorkflowName { self.execution.name }

    /// Whether the next operation may be answered from the record.
    public var isReplaying: Bool { self.journal.isReplaying }

    /// A logger that carries the workflow's id and is silent while the workflow is replayed.
    public var logger: Logger {
        var logger = self.execution.logger
        if self.isReplaying { logger.logLevel = .critical }
        return logger
    }

    /// Takes the next number for an operation, after checking that it may be called at all.
    ///
    /// - Parameter isParallel: Others may follow before anybody waits for it, so a replay check does not end here: their
    ///   records may exist without its own.
    func next(_ name: String, isParallel: Bool = false) throws -> Journal.Decision {
        try self.checkCall(name)
        try self.execution.admit()
        let decision: Journal.Decision
        do throws(Journal.Mismatch) {
            decision = try self.journal.next(name)
        } catch {
            self.execution.check?.diverged(error)
            throw HoldfastError(
                .unexpectedStep,
                "workflow '\(self.id)', step \(error.functionID): '\(error.recorded)' is recorded here, but the code now "
                    + "calls '\(error.called)'; the workflow began under other code, or its calls are not in a fixed order"
            )
        }
        if case .execute(let functionID) = decision, let check = self.execution.check {
            check.went(beyond: functionID, name: name)
            if !isParallel { try self.endCheckIfChecking() }
        }
        return decision
    }

    /// A replay check ends where the record ends: nothing is executed.
    func endCheckIfChecking() throws {
        guard let check = self.execution.check else { return }
        check.ended(unused: self.journal.firstUnused)
        self.execution.close(.checked)
        throw self.execution.interrupted(.checked)
    }

    /// Nested and foreign calls would take numbers in an order that depends on timing.
    func checkCall(_ name: String) throws {
        if self.isInStep {
            throw HoldfastError(
                .misplacedCall,
                "workflow '\(self.id)': '\(name)' was called inside a step; call it from the workflow itself"
            )
        }
        if let ownerTask, Self.currentTask != ownerTask {
            throw HoldfastError(
                .misplacedCall,
                "workflow '\(self.id)': '\(name)' was called from another task than the workflow's; use startStep, map or "
                    + "a child workflow for parallel work"
            )
        }
    }

    private static var currentTask: Int? { withUnsafeCurrentTask { $0?.hashValue } }

    /// Encodes a value, within the size limit, naming the culprit otherwise.
    func encode(_ value: some Encodable, step: Int32, name: String) throws -> String {
        try self.execution.host.encode(value, of: "workflow '\(self.id)', step \(step) '\(name)'")
    }

    /// What a recorded step returned or threw.
    func replayed<Result: Decodable>(_ step: RecordedStep, as type: Result.Type) throws -> Result {
        if let error = step.error { throw RecordedError(parsing: error) }
        guard let output = step.output else {
            throw HoldfastError(
                .undecodable,
                "workflow '\(self.id)', step \(step.functionID) '\(step.name)': neither a value nor an error is recorded"
            )
        }
        return try Self.decode(output, step: step, of: self.id)
    }

    static func decode<Result: Decodable>(
        _ output: String,
        step: RecordedStep,
        of id: WorkflowID
    ) throws -> Result {
        do throws(PortableJSONError) {
            return try PortableJSON.decode(Result.self, from: output)
        } catch {
            throw HoldfastError(
                .undecodable,
                "workflow '\(id)', step \(step.functionID) '\(step.name)': the recorded value is not a \(Result.self): "
                    + "\(error)",
                underlying: error
            )
        }
    }
}

@available(
    *,
    unavailable,
    message: "a workflow's durable operations must be called from its own task, in a fixed order"
)
extension WorkflowContext: @unchecked Sendable {}
