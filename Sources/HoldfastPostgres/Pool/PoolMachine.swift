// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Who has which connection. A value: events go in, effects come out, and nothing here waits or connects.
///
/// Connections are *idle*, *lent* or *being made*; together they never exceed the limit. Waiters are served in the order
/// of their arrival. States:
///
/// ```
/// open ──close()──▶ closing ──the last lent or half-made connection is back──▶ closed
/// ```
struct PoolMachine<Connection, Waiter> {
    typealias WaiterID = UInt64
    typealias Instant = ContinuousClock.Instant

    /// What the caller has to do after a transition, outside its lock.
    struct Effects {
        var grants: [(Waiter, Connection)] = []
        var failures: [(Waiter, PostgresError)] = []
        /// How many connections to start making.
        var connects = 0
        var closes: [Connection] = []
        /// When to call ``PoolMachine/timePassed(now:)``.
        var timer: Instant?
        /// Nothing is left: ``PoolMachine/close()`` is complete.
        var drained = false
    }

    private enum Phase {
        case open
        case closing
        case closed
    }

    private struct Waiting {
        let id: WaiterID
        let waiter: Waiter
        let deadline: Instant
    }

    let limit: Int
    private var phase = Phase.open
    /// The most recently used one is last, and first to be lent: the others may stay cold.
    private var idle: [Connection] = []
    private var lent = 0
    private var beingMade = 0
    private var waiting: [Waiting] = []
    private var isTimerSet = false

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    var counts: (idle: Int, lent: Int, beingMade: Int, waiting: Int) {
        (idle.count, lent, beingMade, waiting.count)
    }

    /// Somebody wants a connection.
    mutating func acquire(
        _ id: WaiterID,
        _ waiter: Waiter,
        deadline: Instant,
        isUsable: (Connection) -> Bool
    ) -> Effects {
        var effects = Effects()
        guard case .open = phase else {
            effects.failures.append((waiter, Self.closedError))
            return effects
        }
        while let connection = idle.popLast() {
            if isUsable(connection) {
                lent += 1
                effects.grants.append((waiter, connection))
                return effects
            }
            effects.closes.append(connection)
        }
        waiting.append(Waiting(id: id, waiter: waiter, deadline: deadline))
        makeConnections(&effects)
        setTimer(&effects)
        return effects
    }

    /// A connection comes back.
    mutating func release(_ connection: Connection, isUsable: Bool) -> Effects {
        var effects = Effects()
        lent -= 1
        place(connection, isUsable: isUsable, &effects)
        return effects
    }

    /// A connection was made.
    mutating func connected(_ connection: Connection) -> Effects {
        var effects = Effects()
        beingMade -= 1
        place(connection, isUsable: true, &effects)
        return effects
    }

    /// A connection could not be made.
    ///
    /// While others are lent or being made, those who wait may still be served: a server that has no room for one more
    /// connection is no reason to fail them. Without any, nobody would ever serve them.
    mutating func connectFailed(_ error: PostgresError) -> Effects {
        var effects = Effects()
        beingMade -= 1
        if lent == 0 && beingMade == 0 {
            effects.failures = waiting.map { ($0.waiter, error) }
            waiting = []
        }
        finishIfDrained(&effects)
        return effects
    }

    /// A waiter gives up.
    mutating func cancel(_ id: WaiterID) -> Effects {
        var effects = Effects()
        if let index = waiting.firstIndex(where: { $0.id == id }) {
            let waiter = waiting.remove(at: index).waiter
            effects.failures.append((waiter, PostgresError(.cancelled, "cancelled while waiting for a connection")))
        }
        return effects
    }

    /// The timer asked for has fired.
    mutating func timePassed(now: Instant) -> Effects {
        var effects = Effects()
        isTimerSet = false
        let error = PostgresError(
            .poolTimeout,
            "no connection became free in time: \(lent) of \(limit) in use, \(beingMade) being made"
        )
        for expired in waiting where expired.deadline <= now {
            effects.failures.append((expired.waiter, error))
        }
        waiting.removeAll { $0.deadline <= now }
        setTimer(&effects)
        return effects
    }

    /// The idle connections are of no use.
    mutating func discardIdle() -> Effects {
        var effects = Effects()
        effects.closes = idle
        idle = []
        return effects
    }

    /// No more connections are lent; those that are lent are closed as they come back.
    mutating func close() -> Effects {
        var effects = Effects()
        guard case .open = phase else { return effects }
        phase = .closing
        effects.failures = waiting.map { ($0.waiter, Self.closedError) }
        effects.closes = idle
        waiting = []
        idle = []
        finishIfDrained(&effects)
        return effects
    }

    var isOpen: Bool {
        if case .open = phase { true } else { false }
    }

    var isClosed: Bool {
        if case .closed = phase { true } else { false }
    }

    private mutating func place(_ connection: Connection, isUsable: Bool, _ effects: inout Effects) {
        if case .open = phase, isUsable {
            if waiting.isEmpty {
                idle.append(connection)
            } else {
                lent += 1
                effects.grants.append((waiting.removeFirst().waiter, connection))
            }
        } else {
            effects.closes.append(connection)
        }
        makeConnections(&effects)
        finishIfDrained(&effects)
    }

    /// Never more attempts than waiters.
    private mutating func makeConnections(_ effects: inout Effects) {
        while beingMade < waiting.count, idle.count + lent + beingMade < limit {
            beingMade += 1
            effects.connects += 1
        }
    }

    private mutating func setTimer(_ effects: inout Effects) {
        guard !isTimerSet, let first = waiting.first else { return }
        isTimerSet = true
        effects.timer = first.deadline
    }

    private mutating func finishIfDrained(_ effects: inout Effects) {
        if case .closing = phase, lent == 0, beingMade == 0 {
            phase = .closed
            effects.drained = true
        }
    }

    private static var closedError: PostgresError { PostgresError(.poolClosed, "the connection pool is closed") }
}
