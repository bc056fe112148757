// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Dispatch
import Synchronization

/// Runs code that blocks, such as reading a file, away from the threads that Swift's tasks share: there are only as many
/// of those as processors, and a blocked one keeps every other task waiting.
enum BlockingWork {
    private static let queue = DispatchQueue(label: "inventory.files", attributes: .concurrent)

    /// Runs `body`, which is to ask now and then whether the calling task was cancelled.
    static func run<Result: Sendable>(
        _ body: @escaping @Sendable (_ isCancelled: @escaping () -> Bool) throws -> Result
    ) async throws -> Result {
        let flag = Flag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                self.queue.async {
                    continuation.resume(with: Swift.Result { try body { flag.isSet } })
                }
            }
        } onCancel: {
            flag.set()
        }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { self.value.load(ordering: .relaxed) }
        func set() { self.value.store(true, ordering: .relaxed) }
    }
}
