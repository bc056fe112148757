// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Synchronization

/// What a run that only compares a record with the code has found.
final class ReplayCheck: Sendable {
    enum Verdict: Sendable, Equatable {
        case compatible
        case diverges(step: Int32, detail: String)
    }

    private struct State {
        var verdict: Verdict?
        /// The first operation that was called and is not recorded.
        var beyond: (functionID: Int32, name: String)?
    }

    /// Whether the workflow has ended, so that nothing is missing from its record but parallel steps that it left behind.
    let isComplete: Bool
    private let state = Mutex(State())

    init(isComplete: Bool = false) { self.isComplete = isComplete }

    /// The first divergence counts: code may catch the error and go on.
    func diverged(_ mismatch: Journal.Mismatch) {
        self.settle(
            .diverges(
                step: mismatch.functionID,
                detail: "'\(mismatch.recorded)' is recorded, but the code calls '\(mismatch.called)'"
            )
        )
    }

    /// The code calls something that is not recorded. A parallel step need not have been recorded before what follows it.
    func went(beyond functionID: Int32, name: String) {
        self.state.withLock { $0.beyond = $0.beyond ?? (functionID, name) }
    }

    /// The code went beyond the record, or returned.
    func ended(unused step: RecordedStep?) {
        if let step {
            self.settle(
                .diverges(step: step.functionID, detail: "'\(step.name)' is recorded, but the code does not call it")
            )
        } else if self.isComplete, let beyond = self.state.withLock({ $0.beyond }) {
            self.settle(
                .diverges(
                    step: beyond.functionID,
                    detail: "the workflow has ended without it, but the code calls '\(beyond.name)'"
                )
            )
        } else {
            self.settle(.compatible)
        }
    }

    private func settle(_ verdict: Verdict) { self.state.withLock { $0.verdict = $0.verdict ?? verdict } }

    var verdict: Verdict? { self.state.withLock { $0.verdict } }
}
