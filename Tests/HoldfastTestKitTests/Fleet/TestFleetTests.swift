// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastTestKit
import Testing

@Suite("An executor of a test fleet", .postgres, .timeLimit(.minutes(5)))
struct TestFleetTests {
    /// Tells which executor runs it, and waits at a door between two steps.
    private static func waiter(_ world: World, _ door: Door) -> Written<Nothing, String> {
        Written { _, context in
            try await context.step("before") { _ in world.note("before") }
            try await context.step("door") { _ in
                world.note("at the door")
                try await door.pass()
            }
            try await context.step("after") { _ in world.note("after") }
            return "done"
        }
    }

    @Test("that is killed loses its work to a peer, and writes nothing more")
    func kill() async throws {
        let (world, door) = (World(), Door())
        let workflow = Self.waiter(world, door)
        try await withTestFleet(of: 2, workflows: workflow, queues: [Queue("q")]) { fleet in
            let handle = try await fleet.client.enqueue(type(of: workflow), Nothing(), on: "q")
            try await world.until("at the door")
            let victim = try await fleet.executor(running: handle.id)
            try await victim.kill()
            #expect(victim.isKilled)
            try await world.until("at the door", happened: 2)
            let successor = try await fleet.executor(running: handle.id)
            #expect(successor.id != victim.id)
            door.open()
            #expect(try await handle.result() == "done")
            #expect(try await fleet.client.takeovers(of: handle.id).map(\.from) == [victim.id])
            #expect(world.count("before") == 1)
            #expect(world.count("after") == 1)
            // It is dead to its own client as well.
            await #expect(throws: (any Error).self) { try await victim.client.workflow(handle.id) }
        }
    }

    @Test("that is killed alone is replaced by a successor in its slot")
    func successor() async throws {
        let (world, door) = (World(), Door())
        let workflow = Self.waiter(world, door)
        try await withTestFleet(workflows: workflow) { fleet in
            let handle = try await fleet[0].client.start(type(of: workflow), Nothing())
            try await world.until("at the door")
            try await fleet[0].kill()
            door.open()
            try await fleet.start(id: fleet[0].id)
            #expect(try await fleet.client.retrieve(handle.id, as: String.self).result() == "done")
            #expect(try await fleet.client.takeovers(of: handle.id).map(\.reason) == ["superseded"])
        }
    }

    @Test("that is stopped in good order hands its work back, and it counts as no takeover")
    func stop() async throws {
        let clock = ManualClock()
        let workflow = Written { (_: Nothing, context) async throws -> Nothing in
            try await context.sleep(for: .seconds(3600))
            return Nothing()
        }
        try await withTestFleet(of: 2, workflows: workflow, clock: clock) { fleet in
            let handle = try await fleet[0].client.start(type(of: workflow), Nothing())
            try await clock.untilWaiting()
            try await fleet[0].stop()
            #expect(try await fleet.executor(running: handle.id).id == fleet[1].id)
            try await clock.advanceToNextWait()
            _ = try await fleet.client.retrieve(handle.id, as: Nothing.self).result()
            #expect(try await fleet.client.takeovers(of: handle.id).isEmpty)
        }
    }

    @Test("that is paused beyond its lease loses its work, and finds that out when it is resumed")
    func pause() async throws {
        let (world, door) = (World(), Door())
        let workflow = Self.waiter(world, door)
        try await withTestFleet(of: 2, workflows: workflow, queues: [Queue("q")]) { configuration in
            configuration.selfStop = .milliseconds(1500)
            configuration.lease = .seconds(2)
        } _: { fleet in
            let handle = try await fleet.client.enqueue(type(of: workflow), Nothing(), on: "q")
            try await world.until("at the door")
            let frozen = try await fleet.executor(running: handle.id)
            frozen.pause()
            try await world.until("at the door", happened: 2)
            let takeover = try #require(try await fleet.client.takeovers(of: handle.id).first)
            #expect(takeover.from == frozen.id)
            #expect(takeover.reason == "lease_expired")
            // Both runs come through the door; the frozen one cannot say so.
            door.open()
            #expect(try await handle.result() == "done")
            #expect(world.count("after") == 1)
            frozen.resume()
            try await until("the frozen one has joined again") {
                try await fleet.client.fleet().count { $0.executorID == frozen.id && $0.state == .active } == 1
            }
            #expect(world.count("after") == 1)
            let again = try await fleet.client.enqueue(type(of: workflow), Nothing(), on: "q")
            #expect(try await again.result() == "done")
        }
    }

    @Test("that is paused for a moment goes on as if nothing had happened")
    func moment() async throws {
        let (world, door) = (World(), Door())
        let workflow = Self.waiter(world, door)
        try await withTestFleet(workflows: workflow) { fleet in
            let handle = try await fleet[0].client.start(type(of: workflow), Nothing())
            try await world.until("at the door")
            fleet[0].pause()
            door.open()
            try await Task.sleep(for: .milliseconds(300))
            #expect(world.count("after") == 0)
            fleet[0].resume()
            #expect(try await fleet.client.retrieve(handle.id, as: String.self).result() == "done")
            #expect(try await fleet.client.takeovers(of: handle.id).isEmpty)
        }
    }

    @Test("that is cut off stops itself before a peer takes over, and comes back when the network does")
    func cutOff() async throws {
        let (world, door) = (World(), Door())
        let workflow = Self.waiter(world, door)
        try await withTestFleet(of: 2, workflows: workflow, queues: [Queue("q")], hasNetwork: true) { configuration in
            configuration.selfStop = .milliseconds(1500)
            configuration.lease = .seconds(2)
        } _: { fleet in
            let handle = try await fleet.client.enqueue(type(of: workflow), Nothing(), on: "q")
            try await world.until("at the door")
            let lonely = try await fleet.executor(running: handle.id)
            try lonely.cutOff()
            try await world.until("at the door", happened: 2)
            #expect(try await fleet.client.takeovers(of: handle.id).map(\.reason) == ["lease_expired"])
            door.open()
            #expect(try await handle.result() == "done")
            lonely.heal()
            try await until("it has joined again") {
                try await fleet.client.fleet().count { $0.executorID == lonely.id && $0.state == .active } == 1
            }
        }
    }

    @Test("without a network of its own cannot be cut off")
    func noNetwork() async throws {
        try await withTestFleet(workflows: Self.waiter(World(), Door())) { fleet in
            let error = #expect(throws: TestKitError.self) { try fleet[0].cutOff() }
            #expect(error?.code == .executor)
        }
    }
}
