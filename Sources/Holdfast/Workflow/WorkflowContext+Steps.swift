// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension WorkflowContext {
    /// Runs a step, or answers with its recorded result.
    ///
    /// The result is recorded before it is returned. A crash between the step's effect and its record runs the step again,
    /// so effects outside the database need an idempotency key: ``StepContext/id`` with the workflow's id is one.
    ///
    /// - Parameters:
    ///   - name: Recorded with the result and compared on replay.
    ///   - retry: Whether and how a failure is tried again before it is recorded. Default: one attempt.
    ///   - body: The code. A step called inside a step is part of the outer one.
    /// - Returns: The decoded form of what was recorded, live as on replay.
    /// - Throws: ``RecordedError`` when the step failed, live as on replay.
    public func step<Result: Codable & Sendable>(
        _ name: StepName,
        retry: StepRetry = .never,
        _ body: (StepContext) async throws -> Result
    ) async throws -> Result {
        try await self.run(name, retry: retry, declared: nil, body)
    }

    /// Runs a step that returns nothing.
    public func step(
        _ name: StepName,
        retry: StepRetry = .never,
        _ body: (StepContext) async throws -> Void
    ) async throws {
        _ = try await self.run(name, retry: retry, declared: nil) { step in
            try await body(step)
            return Nothing()
        }
    }

    /// Runs a step whose errors of type `E` are thrown as such, live as on replay; other errors as ``RecordedError``.
    public func step<Result: Codable & Sendable, E: Error & Codable>(
        _ name: StepName,
        throwing error: E.Type,
        retry: StepRetry = .never,
        _ body: (StepContext) async throws -> Result
    ) async throws -> Result {
        try await self.run(name, retry: retry, declared: error, body)
    }

    /// Runs a step of which no attempt may take longer than `timeout`.
    ///
    /// When the time is up the attempt is cancelled and fails with ``HoldfastError/Code/stepTimeout``; the code must
    /// react to cancellation.
    public func step<Result: Codable & Sendable>(
        _ name: StepName,
        timeout: Duration,
        retry: StepRetry = .never,
        _ body: @escaping @Sendable (StepContext) async throws -> Result
    ) async throws -> Result {
        guard timeout > .zero else {
            throw HoldfastError(.invalidArgument, "step '\(name)': its timeout must be positive, it is \(timeout)")
        }
        return try await self.run(name, retry: retry, declared: nil) { step in
            try await withThrowingTaskGroup(of: Result.self) { group in
                group.addTask { try await body(step) }
                group.addTask {
                    try await Task.sleep(for: timeout.bounded)
                    throw HoldfastError(
                        .stepTimeout,
                        "step \(step.id) '\(step.name)' of workflow '\(step.workflowID)' took longer than \(timeout)"
                    )
                }
                defer { group.cancelAll() }
                guard let result = try await group.next() else { throw CancellationError() }
                return result
            }
        }
    }

    private func run<Result: Codable & Sendable>(
        _ name: StepName,
        retry: StepRetry,
        declared: (any (Error & Codable).Type)?,
        _ body: (StepContext) async throws -> Result
    ) async throws -> Result {
        if self.isInStep {
            return try await body(
                StepContext(workflowID: self.id, id: StepID(self.journal.nextFunctionID - 1), name: name, attempt: 1)
            )
        }
        try Self.validate(name, retry)
        switch try self.next(name.rawValue) {
        case .replay(let step):
            if let error = step.error { throw RecordedError.parsed(error, declared: declared) }
            return try self.replayed(step, as: Result.self)
        case .execute(let functionID):
            let run = StepRun(execution: self.execution, functionID: functionID, name: name, retry: retry)
            self.isInStep = true
            defer { self.isInStep = false }
            return try await run.run(declared: declared, body)
        }
    }

    static func validate(_ name: StepName, _ retry: StepRetry) throws(HoldfastError) {
        guard !name.isBlank else {
            throw HoldfastError(.invalidArgument, "a step's name is blank; it is compared on replay, so give it one")
        }
        guard !name.rawValue.utf8.contains(0) else {
            throw HoldfastError(.invalidArgument, "step '\(name)': Postgres stores no text with a NUL in it")
        }
        guard !name.rawValue.hasPrefix("DBOS.") else {
            throw HoldfastError(.invalidArgument, "step '\(name)': names that begin with 'DBOS.' are reserved")
        }
        guard retry.maxAttempts >= 1, retry.factor >= 1, retry.factor.isFinite, retry.interval >= .zero,
            retry.maxInterval >= .zero
        else {
            throw HoldfastError(
                .invalidArgument,
                "step '\(name)': a retry needs at least one attempt, a finite factor of at least 1 and no negative interval"
            )
        }
    }
}
