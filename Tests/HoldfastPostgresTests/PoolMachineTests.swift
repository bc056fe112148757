// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

/// Connections and waiters are numbers here: the machine knows nothing about them.
@Suite struct PoolMachineTests {
    typealias Machine = PoolMachine<Int, String>

    enum Event {
        case acquire(String)
        case acquireWhenIdleIsBroken(String)
        case release(Int)
        case releaseBroken(Int)
        case connected(Int)
        case connectFailed
        case cancel(String)
        case timePassed(Duration)
        case discardIdle
        case close
    }

    /// Effects in a form that can be compared and read.
    struct Expected: Equatable, CustomStringConvertible {
        var granted: [String: Int] = [:]
        var failed: [String: PostgresError.Code] = [:]
        var connects = 0
        var closed: [Int] = []
        var timer = false
        var drained = false

        var description: String {
            "granted \(granted), failed \(failed), connects \(connects), closed \(closed), timer \(timer), drained \(drained)"
        }
    }

    struct Dialogue: CustomTestStringConvertible, Sendable {
        var name: String
        var limit = 2
        var lines: [(Event, Expected)]
        var testDescription: String { name }
    }

    static let dialogues: [Dialogue] = [
        Dialogue(
            name: "A connection is made on demand, lent, parked and lent again",
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.release(1), Expected()),
                (.acquire("b"), Expected(granted: ["b": 1])),
            ]
        ),
        Dialogue(
            name: "Never more connections than the limit, waiters first come first served",
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.acquire("b"), Expected(connects: 1)),
                (.acquire("c"), Expected()),
                (.acquire("d"), Expected()),
                (.connected(1), Expected(granted: ["a": 1])),
                (.connected(2), Expected(granted: ["b": 2])),
                (.release(2), Expected(granted: ["c": 2])),
                (.release(1), Expected(granted: ["d": 1])),
            ]
        ),
        Dialogue(
            name: "A returned connection serves a waiter before the one that is being made for it",
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.acquire("b"), Expected(connects: 1)),
                (.release(1), Expected(granted: ["b": 1])),
                (.connected(2), Expected()),
                (.acquire("c"), Expected(granted: ["c": 2])),
            ]
        ),
        Dialogue(
            name: "A broken connection is replaced when somebody waits",
            limit: 1,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.acquire("b"), Expected()),
                (.releaseBroken(1), Expected(connects: 1, closed: [1])),
                (.connected(2), Expected(granted: ["b": 2])),
            ]
        ),
        Dialogue(
            name: "A broken idle connection is not lent",
            limit: 1,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.release(1), Expected()),
                (.acquireWhenIdleIsBroken("b"), Expected(connects: 1, closed: [1])),
                (.connected(2), Expected(granted: ["b": 2])),
            ]
        ),
        Dialogue(
            name: "Nobody can be served after a failed connect without other connections",
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.acquire("b"), Expected(connects: 1)),
                (.acquire("c"), Expected()),
                (.connectFailed, Expected()),
                (
                    .connectFailed,
                    Expected(failed: ["a": .connectionFailed, "b": .connectionFailed, "c": .connectionFailed])
                ),
                (.acquire("d"), Expected(connects: 1)),
            ]
        ),
        Dialogue(
            name: "After a failed connect, a lent connection can still serve who waits",
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.acquire("b"), Expected(connects: 1)),
                (.connectFailed, Expected()),
                (.release(1), Expected(granted: ["b": 1])),
            ]
        ),
        Dialogue(
            name: "A cancelled waiter is passed over; cancelling twice or too late does nothing",
            limit: 1,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.acquire("b"), Expected()),
                (.cancel("a"), Expected(failed: ["a": .cancelled])),
                (.cancel("a"), Expected()),
                (.connected(1), Expected(granted: ["b": 1])),
                (.cancel("b"), Expected()),
            ]
        ),
        Dialogue(
            name: "Waiters time out, and the timer is set again for those who remain",
            limit: 1,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.timePassed(.seconds(1)), Expected(timer: true)),
                (.timePassed(.seconds(60)), Expected(failed: ["a": .poolTimeout])),
                (.connected(1), Expected()),
                (.acquire("b"), Expected(granted: ["b": 1])),
                (.acquire("c"), Expected(timer: true)),
            ]
        ),
        Dialogue(
            name: "Closing fails waiters, closes idle connections, and waits for the others",
            limit: 3,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.acquire("b"), Expected(connects: 1)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.connected(2), Expected(granted: ["b": 2])),
                (.release(2), Expected()),
                (.acquire("c"), Expected(granted: ["c": 2])),
                (.release(2), Expected()),
                (.acquire("d"), Expected(granted: ["d": 2])),
                (.acquire("e"), Expected(connects: 1)),
                (.release(1), Expected(granted: ["e": 1])),
                (.release(1), Expected()),
                (.close, Expected(closed: [1])),
                (.acquire("f"), Expected(failed: ["f": .poolClosed])),
                (.release(2), Expected(closed: [2])),
                (.connected(3), Expected(closed: [3], drained: true)),
                (.close, Expected()),
            ]
        ),
        Dialogue(
            name: "Discarded idle connections are not lent again",
            limit: 2,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.acquire("b"), Expected(connects: 1)),
                (.connected(1), Expected(granted: ["a": 1])),
                (.connected(2), Expected(granted: ["b": 2])),
                (.release(2), Expected()),
                (.discardIdle, Expected(closed: [2])),
                (.acquire("c"), Expected(connects: 1)),
                (.releaseBroken(1), Expected(closed: [1])),
                (.connected(3), Expected(granted: ["c": 3])),
            ]
        ),
        Dialogue(
            name: "Closing fails those who wait",
            limit: 1,
            lines: [
                (.acquire("a"), Expected(connects: 1, timer: true)),
                (.close, Expected(failed: ["a": .poolClosed])),
                (.connectFailed, Expected(drained: true)),
            ]
        ),
        Dialogue(name: "An unused pool closes at once", lines: [(.close, Expected(drained: true))]),
    ]

    @Test(arguments: dialogues)
    func dialogue(_ dialogue: Dialogue) {
        var machine = Machine(limit: dialogue.limit)
        let start = ContinuousClock.now
        for (number, (event, expected)) in dialogue.lines.enumerated() {
            let effects = Self.apply(event, to: &machine, start: start)
            let actual = Expected(
                granted: Dictionary(uniqueKeysWithValues: effects.grants),
                failed: Dictionary(uniqueKeysWithValues: effects.failures.map { ($0.0, $0.1.code) }),
                connects: effects.connects,
                closed: effects.closes,
                timer: effects.timer != nil,
                drained: effects.drained
            )
            #expect(actual == expected, "line \(number + 1): \(event)")
            let counts = machine.counts
            #expect(counts.idle + counts.lent + counts.beingMade <= dialogue.limit)
        }
    }

    private static func apply(
        _ event: Event,
        to machine: inout Machine,
        start: ContinuousClock.Instant
    ) -> Machine.Effects {
        func id(_ waiter: String) -> UInt64 { UInt64(waiter.utf8.first ?? 0) }
        let deadline = start + .seconds(30)
        switch event {
        case .acquire(let waiter):
            return machine.acquire(id(waiter), waiter, deadline: deadline) { _ in true }
        case .acquireWhenIdleIsBroken(let waiter):
            return machine.acquire(id(waiter), waiter, deadline: deadline) { _ in false }
        case .release(let connection): return machine.release(connection, isUsable: true)
        case .releaseBroken(let connection): return machine.release(connection, isUsable: false)
        case .connected(let connection): return machine.connected(connection)
        case .connectFailed: return machine.connectFailed(PostgresError(.connectionFailed, "refused"))
        case .cancel(let waiter): return machine.cancel(id(waiter))
        case .timePassed(let duration): return machine.timePassed(now: start + duration)
        case .discardIdle: return machine.discardIdle()
        case .close: return machine.close()
        }
    }
}
