// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Logging
import Synchronization
import Testing

/// Waits until a condition holds; the limit is for hangs only.
func until(
    _ what: String,
    within limit: Duration = .seconds(240),
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now.advanced(by: limit)
    while try await !condition() {
        guard ContinuousClock.now < end else {
            Issue.record("waited in vain for: \(what)")
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// What happened, in order, as the workflows of a test tell it.
final class Diary: Sendable {
    private let state = Mutex<[String]>([])

    func note(_ event: String) { self.state.withLock { $0.append(event) } }

    var events: [String] { self.state.withLock { $0 } }

    func count(_ event: String) -> Int { self.events.count { $0 == event } }

    func until(_ event: String, happened times: Int = 1) async throws {
        try await HoldfastTests.until("'\(event)' \(times) times") { self.count(event) >= times }
    }
}

/// A door at which workflows wait until the test opens it.
final class Door: Sendable {
    private let isOpen = Mutex(false)

    func open() { self.isOpen.withLock { $0 = true } }

    /// Throws `CancellationError` when the waiting task is cancelled.
    func pass() async throws {
        while !self.isOpen.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Waits on, whoever cancels the waiting task.
    func passStubbornly() async {
        // A task of its own is not cancelled with the one that waits.
        await Task { try? await self.pass() }.value
    }
}

/// How many run at once, and how many did at most.
final class Gauge: Sendable {
    private let state = Mutex((now: 0, most: 0))

    var most: Int { self.state.withLock { $0.most } }
    var now: Int { self.state.withLock { $0.now } }

    func counted<R>(_ body: () async throws -> R) async rethrows -> R {
        self.state.withLock { state in
            state.now += 1
            state.most = max(state.most, state.now)
        }
        defer { self.state.withLock { $0.now -= 1 } }
        return try await body()
    }
}

/// Keeps what is logged, and tells it to whoever wants to take his time over it.
final class LogBook: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var message: String
        var metadata: String
    }

    private let state = Mutex<[Line]>([])
    private let onMessage: @Sendable (String) -> Void

    init(onMessage: @escaping @Sendable (String) -> Void = { _ in }) { self.onMessage = onMessage }

    var lines: [Line] { self.state.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(book: self) } }

    private struct Handler: LogHandler {
        let book: LogBook
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = self.metadata.merging(event.metadata ?? [:]) { $1 }
            self.book.state.withLock {
                $0.append(Line(level: event.level, message: "\(event.message)", metadata: "\(metadata)"))
            }
            self.book.onMessage("\(event.message)")
        }
    }
}

/// Moments in the order in which they were added.
final class MomentList: Sendable {
    private let state = Mutex<[ContinuousClock.Instant]>([])

    func add(_ moment: ContinuousClock.Instant = .now) { self.state.withLock { $0.append(moment) } }

    var gaps: [Duration] {
        let moments = self.state.withLock { $0 }
        return zip(moments.dropFirst(), moments).map { $0 - $1 }
    }
}
