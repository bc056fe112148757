// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("Work that other programs enqueue", .timeLimit(.minutes(5)))
struct ForeignWorkTests {
    struct Order: Codable, Sendable {
        var item: String
        var amount: Int
    }

    private static func withOrders(
        _ test: @escaping @Sendable (Scenario<Order, String>) async throws -> Void
    ) async throws {
        try await withWorkflow(queues: [Queue("q")]) { (order: Order, _) async throws -> String in
            "\(order.amount) × \(order.item)"
        } test: { scenario in
            try await test(scenario)
        }
    }

    /// What `enqueue_workflow()` of the shared schema does with these arguments, as the SQL of its parameters 3 and 4.
    private static func outcome(_ arguments: String, in scenario: Scenario<Order, String>) async throws -> String {
        let row = try await scenario.database.query(
            "SELECT {s}.enqueue_workflow('w', 'q', \(arguments))"
        ).first
        let id = WorkflowID(try #require(row).string(0))
        do { return try await scenario.client.retrieve(id, as: String.self).result() } catch { return "\(error)" }
    }

    @Test("by the function of the schema runs, with positional or named arguments")
    func function() async throws {
        try await Self.withOrders { scenario in
            let positional = try await Self.outcome(#"ARRAY['{"item":"kelp","amount":2}'::json]"#, in: scenario)
            #expect(positional == "2 × kelp")
            let named = try await Self.outcome(
                #"ARRAY[]::json[], '{"item":"kelp","amount":3}'::json"#,
                in: scenario
            )
            #expect(named == "3 × kelp")
        }
    }

    @Test("with an input of another shape fails with an error that names the field")
    func undecodable() async throws {
        try await Self.withOrders { scenario in
            let text = try await Self.outcome(#"ARRAY['{"item":"kelp","amount":"two"}'::json]"#, in: scenario)
            #expect(text.contains("failed: Undecodable: workflow 'w': its input is not a Order: amount: "))
            let missing = try await Self.outcome(#"ARRAY['{"item":"kelp"}'::json]"#, in: scenario)
            #expect(missing.contains("amount: required, but missing"))
            let nothing = try await Self.outcome("ARRAY[]::json[]", in: scenario)
            #expect(nothing.contains("failed: Undecodable: workflow 'w'"))
        }
    }

    @Test("whose input is not there, or is no JSON, fails instead of being claimed again and again")
    func broken() async throws {
        try await Self.withOrders { scenario in
            for change in ["DELETE FROM {s}.workflow_input", "UPDATE {s}.workflow_input SET inputs = '{\"pos'"] {
                let handle = try await scenario.enqueue(Order(item: "kelp", amount: 1), on: "nobody")
                try await scenario.database.query(change)
                try await scenario.client.cancel([handle.id])
                try await scenario.client.resume([handle.id], on: "q")
                let text = await failure { _ = try await handle.result() }
                #expect(text.contains("failed: Undecodable: workflow 'w'"))
            }
        }
    }

    @Test("in a format of another language is left to programs that can read it")
    func otherFormat() async throws {
        try await Self.withOrders { scenario in
            let handle = try await scenario.enqueue(Order(item: "kelp", amount: 1), on: "nobody")
            try await scenario.database.query(
                "UPDATE {s}.workflow_status SET serialization = 'py_pickle', queue_name = 'q'"
            )
            _ = try await scenario.enqueue(Order(item: "kelp", amount: 1)).result()
            let status = try await handle.status()
            #expect(status == .enqueued)
        }
    }

    @Test("under a blank id fails instead of being looked at without end")
    func blankID() async throws {
        try await Self.withOrders { scenario in
            try await scenario.database.query(
                #"SELECT {s}.enqueue_workflow('w', 'q', ARRAY['{"item":"kelp","amount":2}'::json], workflow_id => ' ')"#
            )
            try await scenario.database.until(
                "SELECT count(*) FROM {s}.workflow_status WHERE status = 'ERROR'",
                is: 1
            )
            let error = try await scenario.client.workflow(" ").error
            #expect(error?.contains("the workflow's id is blank") == true)
        }
    }
}
