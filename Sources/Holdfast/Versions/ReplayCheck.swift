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

    private let state = Mutex<Verdict?>(nil)

    /// The first divergence counts: code may catch the error and go on.
    func diverged(_ mismatch: Journal.Mismatch) {
        self.settle(
            .diverges(
                step: mismatch.functionID,
                detail: "'\(mismatch.recorded)' is recorded, but the code calls '\(mismatch.called)'"
            )
        )
    }

    /// The code went beyond the record, or returned.
    func ended(unused step: RecordedStep?) {
        guard let step else { return self.settle(.compatible) }
        self.settle(
            .diverges(step: step.functionID, detail: "'\(step.name)' is recorded, but the code does not call it")
        )
    }

    private func settle(_ verdict: Verdict) { self.state.withLock { $0 = $0 ?? verdict } }

    var verdict: Verdict? { self.state.withLock { $0 } }
}
