// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// Brings together the number of a job and the cancellation of its task, whichever comes first.
final class PendingJob: Sendable {
    private enum State {
        case waiting
        case began(UInt64)
        case cancelled
    }

    private let state = Mutex(State.waiting)

    /// Whether the job is to be cancelled right away.
    func began(_ id: UInt64) -> Bool {
        state.withLock { state in
            if case .cancelled = state { return true }
            state = .began(id)
            return false
        }
    }

    /// The job to cancel, if it has begun.
    func cancelled() -> UInt64? {
        state.withLock { state in
            if case .began(let id) = state { return id }
            state = .cancelled
            return nil
        }
    }
}
