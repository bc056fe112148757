// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// Hands the schemas of one test to the next, because making the tables takes longer than most tests; and lets only so
/// many tests run at once, because each needs connections.
final class SchemaShelf: Sendable {
    private struct State {
        var free: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
        var active = 0
        var emptied: [String] = []
    }

    private let state: Mutex<State>

    private static let shelves = Mutex<[String: Task<SchemaShelf, Never>]>([:])

    /// The shelf of a server, with as many turns as its connections allow: 8 for the usual hundred.
    static func of(_ server: TestServer.Resolved) async -> SchemaShelf {
        let shelf = self.shelves.withLock { shelves in
            if let shelf = shelves[server.url] { return shelf }
            // Unstructured, because whoever asks first may be cancelled while others wait. It ends by itself.
            let shelf = Task {
                let limit = try? await TestDatabase(server, suffix: "none", named: .automatic).connectionLimit()
                return SchemaShelf(turns: max(2, min(16, (limit ?? 100) / 12)))
            }
            shelves[server.url] = shelf
            return shelf
        }
        return await shelf.value
    }

    init(turns: Int) { self.state = Mutex(State(free: turns)) }

    /// Waits for a turn.
    ///
    /// - Parameter isNested: Whether the test has a turn already. It shares that: were it to wait for another one, tests that
    ///   all hold one would wait for each other.
    /// - Returns: What tells a pair of schemas from others whose tables are there and empty, if there is such a pair.
    func take(isNested: Bool = false) async -> String? {
        await withCheckedContinuation { waiter in
            let proceeds = self.state.withLock { state in
                if isNested { return true }
                guard state.free > 0 else {
                    state.waiters.append(waiter)
                    return false
                }
                state.free -= 1
                return true
            }
            if proceeds { waiter.resume() }
        }
        return self.state.withLock { state in
            state.active += 1
            return state.emptied.popLast()
        }
    }

    /// Ends a turn.
    ///
    /// - Parameters:
    ///   - emptied: The schemas that the next test may have.
    ///   - isNested: As the turn was taken.
    /// - Returns: The schemas to drop: all of them, when nobody is left who could use them.
    func giveBack(emptied: String?, isNested: Bool = false) -> [String] {
        let (next, dropped) = self.state.withLock { state -> (CheckedContinuation<Void, Never>?, [String]) in
            state.active -= 1
            if let emptied { state.emptied.append(emptied) }
            if isNested { return (nil, []) }
            if !state.waiters.isEmpty { return (state.waiters.removeFirst(), []) }
            state.free += 1
            guard state.active == 0 else { return (nil, []) }
            defer { state.emptied = [] }
            return (nil, state.emptied)
        }
        next?.resume()
        return dropped
    }
}
