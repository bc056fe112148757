// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Foundation
public import Holdfast
import HoldfastCore
import Synchronization

/// The time workflows live in, in the hands of a test.
///
/// It moves durable sleeps, the waits between the attempts of a step, the delays of enqueued work and the deadlines of
/// workflows. Give it to every executor and client of the test. It does not move leases, heartbeats and the time-outs of
/// steps, which go by real time, nor what the code under test reads from the system: in steps, let that ask ``now``.
///
/// ```swift
/// let clock = ManualClock()
/// configuration.use(clock)
/// …
/// try await clock.untilWaiting()          // the workflow sleeps
/// clock.advance(by: .seconds(30 * 86_400))
/// let receipt = try await handle.result()
/// ```
public final class ManualClock: Sendable {
    /// How the time passes.
    public enum Mode: Sendable, Hashable {
        /// It stands still until the test advances it.
        case standing
        /// Whoever waits need not: the clock jumps to the moment waited for. Delayed work begins at once.
        case skipping
    }

    /// Somebody who waits for a moment.
    public struct Wait: Sendable, Hashable {
        /// The moment.
        public var until: Date
    }

    private struct Waiter {
        var moment: Int64
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now: Int64
        /// What the deadlines of workflows have reached; while skipping, that is not what the sleeps of others have.
        var due: Int64
        var waiters: [UInt64: Waiter] = [:]
        var lastID: UInt64 = 0
    }

    private let mode: Mode
    private let state: Mutex<State>

    /// Makes a clock.
    ///
    /// - Parameters:
    ///   - start: What it shows first. Default: the real time.
    ///   - mode: How the time passes.
    public init(start: Date = Date(), mode: Mode = .standing) {
        let now = Int64((start.timeIntervalSince1970 * 1000).rounded())
        self.mode = mode
        self.state = Mutex(State(now: now, due: now))
    }

    /// What it shows.
    public var now: Date { Self.date(self.state.withLock { $0.now }) }

    /// Who waits for it in executors that use it, the next first.
    public var waits: [Wait] {
        self.state.withLock { $0.waiters.values.map(\.moment) }.sorted().map { Wait(until: Self.date($0)) }
    }

    /// Moves the time. Whoever waits for a moment up to then goes on, and sees the new time.
    public func advance(by duration: Duration) {
        let woken = self.state.withLock { state in
            state.now = max(state.now, state.now.addingClamped(duration.inMilliseconds))
            state.due = max(state.due, state.now)
            return Self.takeDue(&state)
        }
        for waiter in woken { waiter.continuation.resume() }
    }

    /// Waits until so many wait for the clock, so that a time that is advanced then is a time they have waited.
    ///
    /// - Throws: ``TestKitError/Code/timeout`` when that does not happen in time.
    public func untilWaiting(count: Int = 1, within limit: Duration = .seconds(60)) async throws {
        let end = ContinuousClock.now.advanced(by: limit)
        while self.state.withLock({ $0.waiters.count }) < count {
            guard ContinuousClock.now < end else {
                throw TestKitError(
                    .timeout,
                    "\(self.waits.count) instead of \(count) waited for the clock after \(limit); does the executor use "
                        + "it, and does the workflow sleep there?"
                )
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Waits until somebody waits for the clock, and moves it to the first moment that is waited for.
    ///
    /// - Throws: ``TestKitError/Code/timeout`` when nobody comes in time.
    public func advanceToNextWait(within limit: Duration = .seconds(60)) async throws {
        try await self.untilWaiting(count: 1, within: limit)
        let woken = self.state.withLock { state in
            if let next = state.waiters.values.map(\.moment).min() {
                state.now = max(state.now, next)
                state.due = max(state.due, state.now)
            }
            return Self.takeDue(&state)
        }
        for waiter in woken { waiter.continuation.resume() }
    }

    private static func takeDue(_ state: inout State) -> [Waiter] {
        let ids = state.waiters.filter { $0.value.moment <= state.now }.sorted { $0.value.moment < $1.value.moment }
        return ids.compactMap { state.waiters.removeValue(forKey: $0.key) }
    }

    private static func date(_ milliseconds: Int64) -> Date {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000)
    }

    /// Returns at the moment, or when the task is cancelled.
    private func wait(until moment: Int64) async {
        let id = self.state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let returns = self.state.withLock { state in
                    if Task.isCancelled || moment <= state.now { return true }
                    state.waiters[id] = Waiter(moment: moment, continuation: continuation)
                    return false
                }
                if returns { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    fileprivate func sleep(until moment: Int64, deadline: Int64?) async throws {
        switch self.mode {
        case .standing:
            await self.wait(until: moment)
        case .skipping:
            guard let deadline, deadline < moment else {
                self.state.withLock { $0.now = max($0.now, moment) }
                break
            }
            // In real life it would be cancelled before: that comes now, from the executor that looks at deadlines.
            self.state.withLock { state in
                state.now = max(state.now, deadline)
                state.due = max(state.due, deadline)
            }
            await self.wait(until: .max)
        }
        try Task.checkCancellation()
    }

    fileprivate var milliseconds: (now: Int64, due: Int64) { self.state.withLock { ($0.now, $0.due) } }

    /// What executors and clients see of it.
    package var workflowClock: any WorkflowClock { Face(clock: self) }

    private struct Face: WorkflowClock {
        let clock: ManualClock

        var now: Int64 { self.clock.milliseconds.now }
        var statementTime: Int64? { self.now }

        /// Moments that the database reckons by its own clock come, too.
        var due: Int64? { max(self.clock.milliseconds.due, Int64(Date().timeIntervalSince1970 * 1000)) }

        /// Soon after the test has advanced it.
        var sweepInterval: Duration { .milliseconds(25) }

        func end(ofDelay delay: Duration) -> Int64? {
            let (now, due) = self.clock.milliseconds
            return self.clock.mode == .skipping ? due : now.addingClamped(delay.inMilliseconds)
        }

        func sleep(until moment: Int64, deadline: Int64?) async throws {
            try await self.clock.sleep(until: moment, deadline: deadline)
        }

        func sleep(for duration: Duration, deadline: Int64?) async throws {
            let end = self.now.addingClamped(duration.inMilliseconds)
            try await self.clock.sleep(until: end, deadline: deadline)
        }
    }
}

extension HoldfastExecutor.Configuration {
    /// Lets the executor's workflows live in the time of a test.
    public mutating func use(_ clock: ManualClock) { self.clock = clock.workflowClock }
}
