// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Why an execution ends without an outcome of its own.
package enum InterruptionReason: Sendable, Hashable {
    /// The ownership token is no longer in the row: somebody else owns the workflow.
    case lostOwnership
    /// The row is CANCELLED.
    case cancelled
    /// The executor is shutting down; the workflow is handed back.
    case shutdown
    /// It was only a check of its record against the code.
    case checked
    /// The executor could not renew its lease in time and must assume that it is taken for dead.
    case selfFenced
    /// A test has killed what stands for the executor's process.
    case killed
}

/// The life of one execution of one workflow in this process.
///
/// States:
/// - *running*: operations are admitted. Can transition to *draining*, *closed*, *finished*.
/// - *draining*: no new operation is admitted, steps that are under way may still write their checkpoint. Can
///   transition to *closed* (when the last step has ended, or the grace is over).
/// - *closed*: nothing is admitted and nothing is written. Final.
/// - *finished*: `run` has returned while running. Final.
///
/// No user code can leave *draining* or *closed*: whatever it catches, the next operation throws again and the value it
/// returns is discarded.
package struct ExecutionMachine: Sendable {
    package enum Action: Sendable, Equatable {
        case none
        /// Cancel the Swift task that runs the workflow.
        case cancelTask
    }

    private enum State: Sendable {
        case running(stepsUnderWay: Int)
        case draining(InterruptionReason, stepsUnderWay: Int)
        case closed(InterruptionReason)
        case finished
    }

    private var state: State = .running(stepsUnderWay: 0)

    package init() {}

    /// The reason the execution ends without an outcome, if it does.
    package var interruption: InterruptionReason? {
        switch self.state {
        case .running, .finished: nil
        case .draining(let reason, _), .closed(let reason): reason
        }
    }

    /// Whether a step that is under way may still write its checkpoint.
    package var mayRecordSteps: Bool {
        switch self.state {
        case .running, .draining: true
        case .closed, .finished: false
        }
    }

    /// Admits a new operation, or says why not.
    package func admit() throws(Interruption) {
        guard case .running = self.state else {
            throw Interruption(reason: self.interruption ?? .lostOwnership)
        }
    }

    /// Admits a step: it may reach its checkpoint even when a drain begins meanwhile.
    package mutating func beginStep() throws(Interruption) {
        guard case .running(let steps) = self.state else {
            throw Interruption(reason: self.interruption ?? .lostOwnership)
        }
        self.state = .running(stepsUnderWay: steps + 1)
    }

    package mutating func endStep() -> Action {
        switch self.state {
        case .running(let steps):
            precondition(steps > 0, "endStep() without beginStep()")
            self.state = .running(stepsUnderWay: steps - 1)
            return .none
        case .draining(let reason, let steps):
            precondition(steps > 0, "endStep() without beginStep()")
            if steps == 1 {
                self.state = .closed(reason)
                return .cancelTask
            }
            self.state = .draining(reason, stepsUnderWay: steps - 1)
            return .none
        case .closed, .finished:
            return .none
        }
    }

    /// Stops admitting operations; steps under way keep their checkpoint.
    package mutating func drain(_ reason: InterruptionReason) -> Action {
        guard case .running(let steps) = self.state else { return .none }
        if steps == 0 {
            self.state = .closed(reason)
            return .cancelTask
        }
        self.state = .draining(reason, stepsUnderWay: steps)
        return .none
    }

    /// Ends the execution at once. The first reason stays, except that *draining* may be closed for another one.
    package mutating func close(_ reason: InterruptionReason) -> Action {
        switch self.state {
        case .running, .draining:
            self.state = .closed(reason)
            return .cancelTask
        case .closed, .finished:
            return .none
        }
    }

    /// `run` has returned or thrown. Returns the reason if its outcome must be discarded.
    package mutating func finish() -> InterruptionReason? {
        if let reason = self.interruption {
            self.state = .closed(reason)
            return reason
        }
        self.state = .finished
        return nil
    }

    /// The condition that ends an execution; user code cannot keep it alive by catching it.
    package struct Interruption: Error, Sendable, Equatable {
        package var reason: InterruptionReason
        package init(reason: InterruptionReason) { self.reason = reason }
    }
}
