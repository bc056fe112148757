// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

// A workflow of two steps and a durable sleep, an executor that runs it, and a client that waits for its result.
// snippet.show
import Holdfast
import Logging

struct Order: Codable, Sendable {
    var id: String
    var total: Int
}

struct Checkout: Workflow {
    static let name: WorkflowName = "checkout"  // a key in the database: written out, never derived

    func run(_ order: Order, context: WorkflowContext) async throws -> String {
        let charge = try await context.step("charge", retry: .exponential(maxAttempts: 5)) { step in
            // The same key on every attempt, also after a crash: the bank charges once.
            try await Bank.charge(order.total, idempotencyKey: "\(context.id)-\(step.id)")
        }
        try await context.sleep(for: .seconds(5))  // survives a restart
        return try await context.step("receipt") { _ in "order \(order.id) paid with \(charge)" }
    }
}

let logger = Logger(label: "shop")
let executor = try HoldfastExecutor(
    configuration: .init(
        applicationName: "shop",
        database: .init(url: "postgresql://postgres@127.0.0.1:5432/holdfast")
    ),
    workflows: Checkout(),
    queues: [Queue("orders", workerConcurrency: 10)],
    logger: logger
)

try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await executor.run() }
    try await executor.waitUntilReady()

    // The id is the idempotency key: however often this is called, one checkout runs.
    let order = Order(id: "42", total: 1999)
    let handle = try await executor.client.enqueue(
        Checkout.self,
        order,
        on: "orders",
        options: .init(id: "order-\(order.id)")
    )
    print(try await handle.result())
    group.cancelAll()
}
// snippet.hide

enum Bank {
    static func charge(_ cents: Int, idempotencyKey: String) async throws -> String { "charge-\(idempotencyKey)" }
}
