// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastTestKit
import Testing

@Suite("A manual clock", .postgres, .timeLimit(.minutes(5)))
struct ManualClockTests {
    private static let month: Duration = .seconds(30 * 86_400)

    @Test("lets a workflow sleep for a month, and not a moment less")
    func sleep() async throws {
        let start = Date(timeIntervalSince1970: 1_000_000_000)
        let clock = ManualClock(start: start)
        let workflow = Written { (_: Nothing, context) async throws -> Date in
            try await context.sleep(for: Self.month)
            return try await context.step("look") { _ in clock.now }
        }
        try await withTestFleet(workflows: workflow, clock: clock) { fleet in
            let handle = try await fleet.client.start(type(of: workflow), Nothing())
            try await clock.untilWaiting()
            #expect(clock.waits.map(\.until) == [start.addingTimeInterval(30 * 86_400)])
            clock.advance(by: Self.month - .milliseconds(1))
            #expect(clock.waits.count == 1)
            #expect(try await handle.status() == .pending)
            clock.advance(by: .milliseconds(1))
            #expect(try await handle.result() == start.addingTimeInterval(30 * 86_400))
            #expect(clock.waits == [])
        }
    }

    @Test("carries on with a sleep in the executor that takes over")
    func takeover() async throws {
        let clock = ManualClock()
        let workflow = Written { (_: Nothing, context) async throws -> Nothing in
            try await context.sleep(for: Self.month)
            return Nothing()
        }
        try await withTestFleet(of: 2, workflows: workflow, clock: clock) { fleet in
            let handle = try await fleet[0].client.start(type(of: workflow), Nothing())
            try await clock.untilWaiting()
            clock.advance(by: Self.month / 2)
            try await fleet[0].kill()
            try await until("the successor sleeps") {
                try await fleet.client.workflow(handle.id).executorID == fleet[1].id && clock.waits.count == 1
            }
            clock.advance(by: Self.month / 2)
            _ = try await fleet.client.retrieve(handle.id, as: Nothing.self).result()
        }
    }

    @Test("moves from one attempt of a step to the next")
    func retries() async throws {
        let clock = ManualClock()
        let world = World()
        let start = clock.now
        let workflow = Written { (_: Nothing, context) async throws -> Int in
            try await context.step("stubborn", retry: .exponential(maxAttempts: 4, interval: .seconds(60))) { step in
                world.note("\(Int(clock.now.timeIntervalSince(start).rounded()))")
                guard step.attempt == 4 else { throw Refused(reason: "not yet") }
                return step.attempt
            }
        }
        try await withTestFleet(workflows: workflow, clock: clock) { fleet in
            let handle = try await fleet.client.start(type(of: workflow), Nothing())
            for _ in 1...3 { try await clock.advanceToNextWait() }
            #expect(try await handle.result() == 4)
            #expect(world.events == ["0", "60", "180", "420"])
        }
    }

    @Test("keeps delayed work waiting until its time has come")
    func delay() async throws {
        let clock = ManualClock()
        let workflow = Written { (_: Nothing, _) async throws -> Nothing in Nothing() }
        try await withTestFleet(workflows: workflow, queues: [Queue("later")], clock: clock) { fleet in
            let handle = try await fleet.client.enqueue(
                type(of: workflow),
                Nothing(),
                on: "later",
                options: .init(delay: Self.month)
            )
            clock.advance(by: Self.month - .seconds(1))
            // Looked at meanwhile, several times over.
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await handle.status() == .delayed)
            clock.advance(by: .seconds(1))
            _ = try await handle.result()
        }
    }

    @Test("lets deadlines pass")
    func deadline() async throws {
        let clock = ManualClock()
        let workflow = Written { (_: Nothing, context) async throws -> Nothing in
            try await context.sleep(for: Self.month)
            return Nothing()
        }
        try await withTestFleet(workflows: workflow, clock: clock) { fleet in
            let handle = try await fleet[0].client.start(
                type(of: workflow),
                Nothing(),
                options: .init(timeout: .seconds(3600))
            )
            try await clock.untilWaiting()
            clock.advance(by: .seconds(3600))
            await #expect(throws: WorkflowFailure.self) { try await handle.result() }
            #expect(try await handle.status() == .cancelled)
        }
    }

    @Test("that skips lets nobody wait, and cancels who would sleep beyond a deadline")
    func skipping() async throws {
        let clock = ManualClock(mode: .skipping)
        let start = clock.now
        let workflow = Written { (length: Int, context) async throws -> Nothing in
            try await context.sleep(for: .seconds(length))
            return Nothing()
        }
        try await withTestFleet(workflows: workflow, queues: [Queue("later")], clock: clock) { fleet in
            let client = fleet[0].client
            let within = try await client.start(type(of: workflow), 86_400, options: .init(timeout: .seconds(86_401)))
            _ = try await within.result()
            #expect(clock.now.timeIntervalSince(start) == 86_400)
            let beyond = try await client.start(type(of: workflow), 86_400, options: .init(timeout: .seconds(86_399)))
            await #expect(throws: WorkflowFailure.self) { try await beyond.result() }
            #expect(try await beyond.status() == .cancelled)
            let delayed = try await client.enqueue(
                type(of: workflow),
                1,
                on: "later",
                options: .init(delay: Self.month)
            )
            _ = try await delayed.result()
        }
    }

    @Test("says so when nobody waits for it")
    func nobody() async throws {
        let clock = ManualClock()
        let error = try #require(
            await #expect(throws: TestKitError.self) { try await clock.untilWaiting(within: .milliseconds(20)) }
        )
        #expect(error.code == .timeout)
    }
}
