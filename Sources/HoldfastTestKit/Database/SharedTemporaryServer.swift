// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// The temporary server of this process, started for whoever asks first.
final class SharedTemporaryServer: Sendable {
    private let start = Mutex<Task<String, any Error>?>(nil)

    /// How to connect to it.
    func url() async throws -> String {
        let task = self.start.withLock { start in
            if let task = start { return task }
            // Unstructured, because whoever asks first may be cancelled while others wait. It ends by itself.
            let task = Task { try await TemporaryServer.start() }
            start = task
            return task
        }
        return try await task.value
    }
}
