// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What a step's code may know of its run.
public struct StepContext: Sendable {
    /// The workflow.
    public let workflowID: WorkflowID
    /// The step's number; with the workflow's id it makes an idempotency key that is the same on every attempt.
    public let id: StepID
    /// The step's name.
    public let name: StepName
    /// Which attempt this is, from 1. A crash starts the count again.
    public let attempt: Int
}

/// Whether and how a failed step is tried again before its error is recorded.
public struct StepRetry: Sendable {
    /// How often it is tried at most, the first time included.
    public var maxAttempts: Int
    /// The wait before the second attempt.
    public var interval: Duration
    /// By what each further wait grows.
    public var factor: Double
    /// The longest wait.
    public var maxInterval: Duration
    /// Says which errors are worth another attempt. Default: all.
    public var shouldRetry: @Sendable (any Error) -> Bool

    /// One attempt.
    public static let never = StepRetry(maxAttempts: 1, interval: .zero, factor: 1, maxInterval: .zero)

    /// Waits that grow by a factor. The defaults are the field's: three attempts, 1 s, doubling, at most an hour.
    public static func exponential(
        maxAttempts: Int = 3,
        interval: Duration = .seconds(1),
        factor: Double = 2,
        maxInterval: Duration = .seconds(3600),
        shouldRetry: @escaping @Sendable (any Error) -> Bool = { _ in true }
    ) -> StepRetry {
        StepRetry(
            maxAttempts: maxAttempts,
            interval: interval,
            factor: factor,
            maxInterval: maxInterval,
            shouldRetry: shouldRetry
        )
    }

    init(
        maxAttempts: Int,
        interval: Duration,
        factor: Double,
        maxInterval: Duration,
        shouldRetry: @escaping @Sendable (any Error) -> Bool = { _ in true }
    ) {
        self.maxAttempts = maxAttempts
        self.interval = interval
        self.factor = factor
        self.maxInterval = maxInterval
        self.shouldRetry = shouldRetry
    }
}
