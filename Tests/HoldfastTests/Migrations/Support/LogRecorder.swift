// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Logging
import Synchronization

/// Keeps log messages for a test, which can also wait for one of them.
final class LogRecorder: Sendable {
    private let recorded = Mutex<[String]>([])
    private let stream: AsyncStream<String>
    private let continuation: AsyncStream<String>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    var logger: Logger { Logger(label: "holdfast.tests") { _ in Handler(recorder: self) } }

    func count(of text: String) -> Int { recorded.withLock { $0.count { $0.contains(text) } } }

    /// Waits until a message contains the text. Messages before it are not waited for again.
    func wait(for text: String) async {
        for await message in stream where message.contains(text) { return }
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let message = event.message.description
            recorder.recorded.withLock { $0.append(message) }
            recorder.continuation.yield(message)
        }
    }
}
