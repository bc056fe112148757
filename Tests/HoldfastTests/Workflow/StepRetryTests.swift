// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("A step that is tried again", .timeLimit(.minutes(5)))
struct StepRetryTests {
    struct Flaky: Error {
        var attempt: Int
    }

    @Test("runs until it succeeds, and only the success is recorded")
    func success() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.step("flaky", retry: .exponential(maxAttempts: 5, interval: .milliseconds(1))) { step in
                diary.note("\(step.attempt)")
                if step.attempt < 3 { throw Flaky(attempt: step.attempt) }
                return step.attempt
            }
        } test: { scenario in
            let attempt = try await scenario.run(Nothing())
            let replayed = try await scenario.replay()
            #expect(attempt == 3)
            #expect(replayed == 3)
            #expect(diary.events == ["1", "2", "3"])
            let journal = try await scenario.journal()
            #expect(journal == ["1 flaky 3"])
        }
    }

    @Test("fails with an error that names the step and the last error when its attempts are used up")
    func exhausted() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("flaky", retry: .exponential(maxAttempts: 3, interval: .zero)) { step in
                diary.note("attempt")
                throw Flaky(attempt: step.attempt)
            }
            return Nothing()
        } test: { scenario in
            let live = await failure { _ = try await scenario.run(Nothing()) }
            let replayed = await failure { _ = try await scenario.replay() }
            #expect(live.contains("MaxStepRetriesExceeded: step 1 'flaky' failed 3 times"))
            #expect(live.contains("the last error was Flaky: Flaky(attempt: 3)"))
            #expect(replayed == live)
            #expect(diary.events.count == 3)
            let steps = try await scenario.client.steps(of: "w")
            #expect(steps.count == 1)
            #expect(steps.first?.error?.contains("Flaky(attempt: 1)") == true, "all errors are in the data")
        }
    }

    @Test("stops at an error that is not worth another attempt, and records that error")
    func veto() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            let retry = StepRetry.exponential(maxAttempts: 10, interval: .zero) { error in
                (error as? Flaky)?.attempt != 2
            }
            try await context.step("flaky", retry: retry) { step in
                diary.note("attempt")
                throw Flaky(attempt: step.attempt)
            }
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text == "workflow 'w' failed: Flaky: Flaky(attempt: 2)")
            #expect(diary.events.count == 2)
        }
    }

    @Test("waits longer each time, never longer than the limit, and not after the last failure")
    func backoff() async throws {
        let clock = ContinuousClock()
        let moments = MomentList()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            let retry = StepRetry.exponential(
                maxAttempts: 4,
                interval: .milliseconds(40),
                factor: 3,
                maxInterval: .milliseconds(80)
            )
            do {
                try await context.step("flaky", retry: retry) { step in
                    moments.add(clock.now)
                    throw Flaky(attempt: step.attempt)
                }
            } catch {
                moments.add(clock.now)
            }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            let waits = moments.gaps
            #expect(waits.count == 4)
            #expect(waits[0] >= .milliseconds(40))
            #expect(waits[1] >= .milliseconds(80))
            #expect(waits[2] >= .milliseconds(80))
            // 3 × 80 = 240 ms without the limit; a slow machine may add to what was slept.
            #expect(waits[1] < .milliseconds(80) * 20)
        }
    }

    @Test("without a pause is tried as often as it takes")
    func manyAttempts() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            let retry = StepRetry.exponential(maxAttempts: 3000, interval: .zero) { _ in true }
            return try await context.step("flaky", retry: retry) { step in
                // Beyond 1024 attempts the factor's power is infinite.
                if step.attempt < 1100 { throw Flaky(attempt: step.attempt) }
                return step.attempt
            }
        } test: { scenario in
            let attempt = try await scenario.run(Nothing())
            #expect(attempt == 1100)
        }
    }

    @Test("leaves no record when the workflow is cancelled between two attempts")
    func cancelledBetween() async throws {
        let diary = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            // The longest there is: timers know no such moment.
            let forever = Duration.seconds(Int64.max)
            let retry = StepRetry.exponential(maxAttempts: 2, interval: forever, maxInterval: forever)
            try await context.step("flaky", retry: retry) { step in
                diary.note("attempt")
                throw Flaky(attempt: step.attempt)
            }
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await diary.until("attempt")
            try await handle.cancel()
            try await until("the slot is free") {
                try await scenario.database.count("SELECT sum(running)::int FROM {h}.executors") == 0
            }
            let journal = try await scenario.journal()
            #expect(journal == [])
            #expect(diary.events == ["attempt"])
        }
    }

    @Test(
        "with an impossible policy is refused",
        arguments: [
            StepRetry.exponential(maxAttempts: 0), .exponential(interval: .seconds(-1)), .exponential(factor: 0.5),
            .exponential(factor: .nan), .exponential(factor: .infinity), .exponential(maxInterval: .seconds(-1)),
        ]
    )
    func impossible(retry: StepRetry) async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("flaky", retry: retry) { _ in }
            return Nothing()
        } test: { scenario in
            let text = await failure { _ = try await scenario.run(Nothing()) }
            #expect(text.contains("InvalidArgument: step 'flaky'"))
        }
    }
}
