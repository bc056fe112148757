// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastTestKit
import Synchronization
import Testing

/// A workflow whose code stands in the test.
///
/// Its name is that of the test's suite, so that its messages can be told apart.
struct Written<Input: Codable & Sendable, Output: Codable & Sendable>: Workflow {
    static var name: WorkflowName { "written" }
    let code: @Sendable (Input, WorkflowContext) async throws -> Output

    init(_ code: @escaping @Sendable (Input, WorkflowContext) async throws -> Output) { self.code = code }

    func run(_ input: Input, context: WorkflowContext) async throws -> Output {
        try await self.code(input, context)
    }
}

/// What happened outside, in order.
final class World: Sendable {
    private let state = Mutex<[String]>([])

    func note(_ event: String) { self.state.withLock { $0.append(event) } }

    var events: [String] { self.state.withLock { $0 } }

    func count(_ event: String) -> Int { self.events.count { $0 == event } }

    /// Waits until something has happened so often; the limit is for hangs only.
    func until(_ event: String, happened times: Int = 1) async throws {
        try await HoldfastTestKitTests.until("'\(event)' \(times) times") { self.count(event) >= times }
    }
}

/// A door at which code waits until the test opens it.
final class Door: Sendable {
    private let isOpen = Mutex(false)

    func open() { self.isOpen.withLock { $0 = true } }

    /// Throws `CancellationError` when the waiting task is cancelled.
    func pass() async throws {
        while !self.isOpen.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(2)) }
    }
}

/// Waits until a condition holds; the limit is for hangs only.
func until(
    _ what: String,
    within limit: Duration = .seconds(60),
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

struct Refused: Error, Codable {
    var reason: String
}
