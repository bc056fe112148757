// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("A client's bad input", .timeLimit(.minutes(5)))
struct ClientInputTests {
    private static func withBoth(
        _ check: @escaping @Sendable (HoldfastClient) async throws -> Void
    ) async throws {
        try await withWorkflow { (number: Double, _) async throws -> Double in
            number
        } test: { scenario in
            try await check(scenario.client)
            // A client of its own goes another way.
            try await withClient(scenario.database) { client in try await check(client) }
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 0, "nothing is stored")
            let inputs = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_input")
            #expect(inputs == 0)
        }
    }

    private static let w = WorkflowReference<Double, Double>("w")

    @Test("a blank id or a blank name is refused", arguments: ["", "  \n"])
    func blankStart(text: String) async throws {
        try await Self.withBoth { client in
            let id = await failure {
                _ = try await client.start(Self.w, 1, options: .init(id: WorkflowID(text)))
            }
            #expect(id == "InvalidArgument: the workflow's id is blank; leave it out or name it")
            let name = await failure {
                _ = try await client.start(
                    WorkflowReference<Double, Double>(WorkflowName(text)),
                    1,
                    options: .init(id: "x")
                )
            }
            #expect(name == "InvalidArgument: workflow 'x': its name is blank")
        }
    }

    @Test("a blank queue, deduplication key or version is refused", arguments: ["", "  \n"])
    func blankEnqueue(text: String) async throws {
        try await Self.withBoth { client in
            let queue = try await code {
                _ = try await client.enqueue(Self.w, 1, on: QueueName(text))
            }
            #expect(queue == .invalidArgument)
            for deduplication in [Deduplication.rejecting(key: text), .returningExisting(key: text)] {
                let key = await failure {
                    _ = try await client.enqueue(Self.w, 1, on: "q", options: .init(deduplication: deduplication))
                }
                #expect(key.contains("the deduplication key is blank"))
            }
            let version = await failure {
                _ = try await client.enqueue(Self.w, 1, on: "q", options: .init(applicationVersion: text))
            }
            #expect(version.contains("applicationVersion is blank"))
            let resume = await failure { _ = try await client.resume([], on: QueueName(text)) }
            #expect(resume.contains("the queue's name is blank"))
        }
    }

    @Test("a priority out of range, a negative delay and a time-out that is not positive are refused")
    func ranges() async throws {
        let refused: [(EnqueueOptions, String)] = [
            (EnqueueOptions(priority: -1), "priority is -1"),
            (EnqueueOptions(priority: 1 << 31), "priority is 2147483648"),
            (EnqueueOptions(delay: .milliseconds(-1)), "delay is -0.001 seconds"),
            (EnqueueOptions(timeout: .zero), "timeout is 0.0 seconds"),
            (EnqueueOptions(timeout: .seconds(-1)), "timeout is -1.0 seconds"),
        ]
        try await Self.withBoth { client in
            for (options, reason) in refused {
                let text = await failure { _ = try await client.enqueue(Self.w, 1, on: "q", options: options) }
                #expect(text.hasPrefix("InvalidArgument: workflow '"))
                #expect(text.contains(reason))
            }
            let timeout = try await code {
                _ = try await client.start(Self.w, 1, options: .init(timeout: .zero))
            }
            #expect(timeout == .invalidArgument)
        }
    }

    @Test("an input that JSON cannot express is refused", arguments: [Double.nan, .infinity])
    func unencodable(number: Double) async throws {
        try await Self.withBoth { client in
            let text = await failure {
                _ = try await client.enqueue(Self.w, number, on: "q", options: .init(id: "x"))
            }
            #expect(text.hasPrefix("Unencodable: workflow 'x' (w): its input cannot be written as JSON"))
            let direct = try await code { _ = try await client.start(Self.w, number) }
            #expect(direct == .unencodable)
        }
    }

    @Test("text with a NUL, which Postgres cannot store, is refused")
    func nul() async throws {
        try await Self.withBoth { client in
            let text = WorkflowReference<String, String>("w")
            let input = try await code { _ = try await client.start(text, "a\0b") }
            #expect(input == .unencodable)
            _ = try await code { _ = try await client.start(text, "a", options: .init(id: "a\0b")) }
            _ = try await code { _ = try await client.enqueue(text, "a", on: "a\0b") }
        }
    }

    @Test("an input that is too large is refused")
    func tooLarge() async throws {
        try await withWorkflow(configure: { $0.payloadLimits.maxBytes = 100 }) {
            (text: String, _) async throws -> String in
            text
        } test: { scenario in
            let text = await failure { _ = try await scenario.start(String(repeating: "x", count: 100)) }
            #expect(text.hasPrefix("PayloadTooLarge: the input of workflow 'w' (w): 138 bytes"))
            let rows = try await scenario.database.count("SELECT count(*) FROM {s}.workflow_status")
            #expect(rows == 0)
        }
    }

    @Test("times beyond the end of time are taken for its end")
    func endOfTime() async throws {
        try await withWorkflow { (number: Int, _) async throws -> Int in
            number
        } test: { scenario in
            let forever = Duration.seconds(Int64.max)
            let result = try await scenario.start(1, timeout: forever).result()
            #expect(result == 1)
            _ = try await scenario.enqueue(1, .init(id: "d", delay: forever, timeout: forever))
            let end = try await scenario.database.count(
                """
                SELECT count(*) FROM {s}.workflow_status WHERE delay_until_epoch_ms = 9223372036854775807
                    OR workflow_deadline_epoch_ms = 9223372036854775807
                """
            )
            #expect(end == 2)
            var filter = WorkflowFilter()
            filter.createdAfter = Date(timeIntervalSince1970: -.infinity)
            filter.createdBefore = .distantFuture
            let listed = try await scenario.client.workflows(filter)
            #expect(listed.count == 2)
        }
    }

    @Test("a negative limit or offset of a list is refused")
    func list() async throws {
        try await Self.withBoth { client in
            var filter = WorkflowFilter()
            filter.limit = -1
            let limit = try await code { _ = try await client.workflows(filter) }
            filter.limit = 1
            filter.offset = -1
            let offset = try await code { _ = try await client.workflows(filter) }
            #expect([limit, offset] == [.invalidArgument, .invalidArgument])
        }
    }

    @Test("a client without an application may not be given an impossible one")
    func application() throws {
        #expect(throws: HoldfastError.self) {
            _ = try HoldfastClient(
                database: DatabaseConfiguration(url: "postgresql://127.0.0.1/none"),
                applicationName: "Shop",
                logger: TestDatabase.logger
            )
        }
    }
}
