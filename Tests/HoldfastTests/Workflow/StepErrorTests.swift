// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Synchronization
import Testing

@Suite("The error of a step", .timeLimit(.minutes(5)))
struct StepErrorTests {
    struct Declined: Error, Codable, Equatable {
        var reason: String
        var code: Int
    }

    @Test("is thrown live as on replay: as a recorded error")
    func recorded() async throws {
        let seen = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            do {
                _ = try await context.step("charge") { _ in throw Declined(reason: "no funds", code: 51) } as Int
            } catch let error as RecordedError {
                seen.note("\(error) \(error.data ?? "")")
            }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            #expect(seen.events.count == 2)
            #expect(Set(seen.events).count == 1)
            #expect(seen.events[0].hasPrefix("Declined: "))
            #expect(seen.events[0].hasSuffix(#"{"reason":"no funds","code":51}"#))
        }
    }

    @Test("is thrown live as on replay: as the declared type")
    func declared() async throws {
        let seen = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            do {
                _ =
                    try await context.step("charge", throwing: Declined.self) { _ in
                        throw Declined(reason: "no funds", code: 51)
                    } as Int
            } catch let error as Declined {
                seen.note("\(error)")
            }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            #expect(seen.events == Array(repeating: "\(Declined(reason: "no funds", code: 51))", count: 2))
        }
    }

    @Test("is a recorded error when it is of another type than the declared one")
    func otherThanDeclared() async throws {
        let seen = Diary()
        struct Other: Error {}
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            do {
                _ = try await context.step("charge", throwing: Declined.self) { _ in throw Other() } as Int
            } catch {
                seen.note("\(type(of: error)) \(error)")
            }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            #expect(seen.events == Array(repeating: "RecordedError Other: Other()", count: 2))
        }
    }

    @Test("fails the workflow when nobody catches it")
    func uncaught() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("boom") { _ in throw RecordedError(name: "Boom", message: "bang", code: "7") }
            return Nothing()
        } test: { scenario in
            let live = await failure { _ = try await scenario.run(Nothing()) }
            let replayed = await failure { _ = try await scenario.replay() }
            #expect(live == "workflow 'w' failed: Boom: bang")
            #expect(replayed == live)
            let error = try await scenario.client.workflow("w").error
            #expect(error == #"{"name":"Boom","message":"bang","code":7}"#)
        }
    }

    @Test("is a time-out when an attempt takes too long, and stays one on replay")
    func timeout() async throws {
        let seen = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            do {
                _ = try await context.step("slow", timeout: .milliseconds(20)) { _ in
                    defer { seen.note("body ended") }
                    try await Task.sleep(for: .seconds(3600))
                    return 1
                }
            } catch let error as RecordedError {
                seen.note("\(error.name) \(error.code ?? "") \(error.message)")
            }
            return Nothing()
        } test: { scenario in
            _ = try await scenario.run(Nothing())
            _ = try await scenario.replay()
            #expect(seen.events.count == 3)
            #expect(seen.events[0] == "body ended")
            #expect(seen.events[1].hasPrefix("StepTimeout 18 step 1 'slow' of workflow 'w' took longer than"))
            #expect(seen.events[2] == seen.events[1])
        }
    }

    @Test("tells of a time-out on every attempt")
    func timeoutPerAttempt() async throws {
        let attempts = Diary()
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.step(
                "slow",
                timeout: .milliseconds(20),
                retry: .exponential(maxAttempts: 3, interval: .zero)
            ) { step in
                attempts.note("\(step.attempt)")
                if step.attempt < 3 { try await Task.sleep(for: .seconds(3600)) }
                return step.attempt
            }
        } test: { scenario in
            let attempt = try await scenario.run(Nothing())
            #expect(attempt == 3)
            #expect(attempts.events == ["1", "2", "3"])
        }
    }

    @Test("is no time-out when the time never ends")
    func noTimeout() async throws {
        try await withWorkflow { (_: Nothing, context) async throws -> Int in
            try await context.step("patient", timeout: .seconds(Int64.max)) { _ in
                try await Task.sleep(for: .milliseconds(1))
                return 1
            }
        } test: { scenario in
            let result = try await scenario.run(Nothing())
            #expect(result == 1)
        }
    }

    @Test("leaves no record when the workflow is cancelled, however the code reports its end")
    func cancelled() async throws {
        let diary = Diary()
        struct Disguise: Error {}
        try await withWorkflow { (_: Nothing, context) async throws -> Nothing in
            try await context.step("wait") { _ in
                diary.note("waiting")
                do { try await Door().pass() } catch {
                    diary.note("ended")
                    throw Disguise()
                }
            }
            return Nothing()
        } test: { scenario in
            let handle = try await scenario.start(Nothing())
            try await diary.until("waiting")
            try await handle.cancel()
            try await diary.until("ended")
            let text = await failure { _ = try await handle.result() }
            #expect(text == "workflow 'w' was cancelled")
            let journal = try await scenario.journal()
            #expect(journal == [])
        }
    }

    @Test("is cut to the limit when it is larger, and the workflow still has an outcome")
    func large() async throws {
        try await withWorkflow(configure: { $0.payloadLimits.maxBytes = 2000 }) {
            (_: Nothing, context) async throws -> Nothing in
            try await context.step("boom") { _ in
                throw RecordedError(
                    name: "Boom",
                    message: String(repeating: "é\"", count: 5000),
                    data: "[\(Array(repeating: "1", count: 5000).joined(separator: ","))]"
                )
            }
            return Nothing()
        } test: { scenario in
            let live = await failure { _ = try await scenario.run(Nothing()) }
            let replayed = await failure { _ = try await scenario.replay() }
            #expect(live.hasPrefix("workflow 'w' failed: Boom: é"))
            #expect(replayed == live)
            let step = try await scenario.client.steps(of: "w").first?.error
            let outcome = try await scenario.client.workflow("w").error
            #expect((step ?? "").utf8.count <= 2000)
            #expect((outcome ?? "").utf8.count <= 2000)
        }
    }
}
