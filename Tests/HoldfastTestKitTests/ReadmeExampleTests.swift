// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

// What README.md shows of testing, with what it leaves out below.
import Foundation
// snippet.show
import Holdfast
import HoldfastTestKit
import Testing

@Suite(.postgres) struct CheckoutTests {
    let order = Order(id: "42", total: 1999)

    /// Kills the executor after every checkpoint, and between every effect and its checkpoint.
    @Test func survivesEveryCrash() async throws {
        try await verifyRecovery(
            input: order,
            world: { FakeBank() },  // outside: it survives a crash
            workflow: { bank in Checkout(bank: bank) },  // in memory: it does not
            effects: { bank in bank.charges }  // must be what an undisturbed run leaves behind
        )
    }

    /// Time is what the test makes of it.
    @Test func remindsAfterAMonth() async throws {
        let (clock, bank) = (ManualClock(), FakeBank())
        try await withTestFleet(workflows: Checkout(bank: bank), clock: clock) { fleet in
            let checkout = try await fleet[0].client.start(Checkout.self, order)
            try await clock.untilWaiting()
            clock.advance(by: .seconds(30 * 86_400))
            #expect(try await checkout.result() == "order 42 paid, reminded after 30 days")
        }
    }

    /// Executors can be killed, paused and cut off.
    @Test func isTakenOver() async throws {
        let (clock, bank) = (ManualClock(), FakeBank())
        try await withTestFleet(of: 3, workflows: Checkout(bank: bank), clock: clock) { fleet in
            let checkout = try await fleet.client.start(Checkout.self, order)
            try await clock.untilWaiting()
            try await fleet.executor(running: checkout.id).kill()
            try await clock.untilWaiting()  // another one has taken over
            try await clock.advanceToNextWait()
            _ = try await checkout.result()
            #expect(bank.charges.count == 1)
        }
    }

    /// Histories kept in the repository tell whether a change breaks the workflows under way.
    @Test(arguments: try WorkflowHistory.all(in: histories))
    func fits(history: WorkflowHistory) async throws {
        try await replay(history: history, against: Checkout(bank: FakeBank()))
    }
}
// snippet.hide

private let histories = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Histories")

struct Order: Codable, Sendable {
    var id: String
    var total: Int
}

struct Checkout: Workflow {
    static let name: WorkflowName = "checkout"
    let bank: FakeBank

    func run(_ order: Order, context: WorkflowContext) async throws -> String {
        try await context.step("charge") { step in
            self.bank.charge(order.total, idempotencyKey: "\(context.id)-\(step.id)")
        }
        try await context.sleep(for: .seconds(30 * 86_400))
        return try await context.step("remind") { _ in "order \(order.id) paid, reminded after 30 days" }
    }
}
