// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("Parallel steps", .timeLimit(.minutes(5)))
struct ParallelStepTests {
    @Test("are numbered in the order of the calls, whatever the order in which they end")
    func numbering() async throws {
        let order = Diary()
        let lastEnded = Door()
        try await withWorkflow { (_: Nothing, context) async throws -> [String] in
            let slow = try context.startStep("slow") { step in
                try await lastEnded.pass()
                order.note("slow")
                return "slow \(step.id)"
            }
            let quick = try context.startStep("quick") { step in
                order.note("quick")
                return "quick \(step.id)"
            }
            let inline = try await context.step("inline") { step in "inline \(step.id)" }
            let second = try await quick.value
            lastEnded.open()
            return [try await slow.value, second, inline]
        } test: { scenario in
            let live = try await scenario.run(Nothing())
            #expect(live == ["slow 1", "quick 2", "inline 3"])
            #expect(order.events == ["quick", "slow"])
            let replayed = try await scenario.replay()
            #expect(replayed == live)
            #expect(order.events.count == 2)
        }
    }

    @Test("fail like other steps, live and on replay")
    func failing() async throws {
        let seen = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            let branch =
                try context.startStep("boom") { _ in throw RecordedError(name: "Boom", message: "bang") }
                as StepHandle<Int>
            do { _ = try await branch.value } catch { seen.note("\(type(of: error)) \(error)") }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            #expect(seen.events == Array(repeating: "RecordedError Boom: bang", count: 2))
        }
    }

    @Test("that are not ended when the workflow returns are cancelled and leave no record")
    func leftBehind() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> String in
            _ = try context.startStep("endless") { _ in
                diary.note("begun")
                do { try await Door().pass() } catch {
                    diary.note("cancelled")
                    throw error
                }
                return Nothing()
            }
            try await diary.until("begun")
            return "done"
        } test: { scenario in
            let result = try await scenario.run(Nothing())
            #expect(result == "done")
            // The outcome is written after the last of them has ended.
            #expect(diary.events == ["begun", "cancelled"])
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("the first to finish is recorded, and replay takes the same")
    func firstToFinish() async throws {
        let runs = Diary()
        let doors = [Door(), Door()]
        try await withWorkflow { (_: Nothing, context) async throws -> String in
            runs.note("run")
            var handles: [StepHandle<String>] = []
            for (index, door) in doors.enumerated() {
                handles.append(
                    try context.startStep("racer") { _ in
                        try await door.pass()
                        return "racer \(index)"
                    }
                )
            }
            return try await context.firstToFinish(handles).value
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await runs.until("run")
            doors[1].open()
            let live = try await handle.result()
            #expect(live == "racer 1")
            // Now the other one would win.
            doors[0].open()
            let replayed = try await scenario.replay()
            #expect(replayed == live)
            let journal = try await scenario.journal()
            #expect(journal.last == "3 DBOS.select 1")
        }
    }

    @Test("firstToFinish needs a step")
    func firstOfNone() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.firstToFinish([StepHandle<Int>]())
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text.contains("InvalidArgument: firstToFinish needs at least one step"))
        }
    }
}

@Suite("Mapping items to steps", .timeLimit(.minutes(5)))
struct MapTests {
    @Test("returns the results in the items' order")
    func order() async throws {
        try await withWorkflow { (count: Int, context) async throws -> [Int] in
            try await context.map(Array(0..<count), step: "square") { item, _ in
                for _ in 0..<(count - item) { await Task.yield() }
                return item * item
            }
        } test: { scenario in
            let squares = try await scenario.run(50)
            #expect(squares == (0..<50).map { $0 * $0 })
            let numbers = try await scenario.client.steps(of: "w").map(\.id.number)
            #expect(numbers == Array(1...50))
        }
    }

    @Test("of no items takes no number")
    func empty() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            let none: [Int] = try await context.map([Int](), step: "item") { item, _ in item }
            #expect(none.isEmpty)
            return try await context.step("after") { step in Int(step.id.number) }
        } test: { scenario in
            let number = try await scenario.run(Nothing())
            #expect(number == 1)
        }
    }

    @Test("runs no more at a time than allowed")
    func bound() async throws {
        let gauge = Gauge()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.map(Array(0..<20), step: "item", maxConcurrency: 3) { item, _ in
                await gauge.counted {
                    for _ in 0..<20 { await Task.yield() }
                }
                return item
            }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            #expect(gauge.most <= 3)
            #expect(gauge.most >= 2)
        }
    }

    @Test("without room for one at a time is refused")
    func noRoom() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.map([1], step: "item", maxConcurrency: 0) { item, _ in item }
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text.contains("InvalidArgument: map 'item': maxConcurrency must be 1 or more, it is 0"))
        }
    }

    @Test("throws the error of the first item in order that failed, after all have ended")
    func firstFailure() async throws {
        let ended = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            _ = try await context.map(Array(0..<6), step: "item") { item, _ in
                // The later one fails first.
                if item == 2 { try await ended.until("4") }
                ended.note("\(item)")
                if item == 2 || item == 4 { throw RecordedError(name: "Boom", message: "item \(item)") }
                return item
            }
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text == "workflow 'w' failed: Boom: item 2")
            #expect(Set(ended.events) == ["0", "1", "2", "3", "4", "5"])
        }
    }

    @Test("replayed half-way runs only what is missing")
    func replay() async throws {
        let ran = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> [Int] in
            try await context.map(Array(0..<10), step: "item") { item, _ in
                ran.note("\(item)")
                return item
            }
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            try await scenario.database.query("DELETE FROM {s}.operation_outputs WHERE function_id IN (3, 7)")
            let replayed = try await scenario.replay()
            #expect(replayed == Array(0..<10))
            #expect(ran.events.count == 12)
            #expect(Set(ran.events.suffix(2)) == ["2", "6"])
        }
    }
}
