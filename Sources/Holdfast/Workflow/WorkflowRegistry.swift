// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// The workflows an executor can run, by name.
public struct WorkflowRegistry: Sendable {
    private(set) var workflows: [String: RegisteredWorkflow] = [:]

    /// Makes an empty registry.
    public init() {}

    /// Registers a workflow.
    ///
    /// - Throws: ``HoldfastError`` when the name is blank or taken.
    public mutating func register<W: Workflow>(_ workflow: W) throws(HoldfastError) {
        try self.add(
            RegisteredWorkflow(name: W.name, options: W.options) { input, context in
                try await workflow.run(input, context: context)
            }
        )
    }

    /// Registers a closure as a workflow.
    ///
    /// - Throws: ``HoldfastError`` when the name is blank or taken.
    public mutating func register<Input, Output>(
        _ reference: WorkflowReference<Input, Output>,
        options: WorkflowOptions = WorkflowOptions(),
        run: @escaping @Sendable (Input, WorkflowContext) async throws -> Output
    ) throws(HoldfastError) {
        try self.add(RegisteredWorkflow(name: reference.name, options: options, run: run))
    }

    private mutating func add(_ workflow: RegisteredWorkflow) throws(HoldfastError) {
        guard !workflow.name.isBlank else {
            throw HoldfastError(.invalidConfiguration, "a workflow's name is blank; give it a name")
        }
        if let limit = workflow.options.maxRecoveryAttempts, limit < 0 {
            throw HoldfastError(
                .invalidConfiguration,
                "workflow '\(workflow.name)': maxRecoveryAttempts is \(limit); it must be 0 or more, or nil"
            )
        }
        guard self.workflows[workflow.name.rawValue] == nil else {
            throw HoldfastError(
                .duplicateRegistration,
                "workflow '\(workflow.name)' is registered twice; give each workflow a name of its own"
            )
        }
        self.workflows[workflow.name.rawValue] = workflow
    }

    var names: [String] { self.workflows.keys.sorted() }
}

/// A workflow behind its types: text in, text out.
struct RegisteredWorkflow: Sendable {
    let name: WorkflowName
    let options: WorkflowOptions
    /// Decodes the stored arguments, runs, and encodes what is returned.
    let run: @Sendable (_ inputs: String?, _ context: WorkflowContext) async throws -> String

    init<Input: Codable & Sendable, Output: Codable & Sendable>(
        name: WorkflowName,
        options: WorkflowOptions,
        run: @escaping @Sendable (Input, WorkflowContext) async throws -> Output
    ) {
        self.name = name
        self.options = options
        self.run = { inputs, context in
            let input: Input
            do throws(PortableJSONError) {
                input = try PortableArguments(parsing: inputs ?? "{}").decodeInput(as: Input.self)
            } catch {
                throw HoldfastError(
                    .undecodable,
                    "workflow '\(name)': its input is not a \(Input.self): \(error)",
                    underlying: error
                )
            }
            let output = try await run(input, context)
            do throws(PortableJSONError) {
                return try PortableJSON.encode(output)
            } catch {
                throw HoldfastError(
                    .unencodable,
                    "workflow '\(name)': its output cannot be written as JSON: \(error)",
                    underlying: error
                )
            }
        }
    }
}
