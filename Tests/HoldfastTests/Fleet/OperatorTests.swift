// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@Suite("An operator's order in the middle of a takeover", .timeLimit(.minutes(10)))
struct OperatorTests {
    enum Order: CaseIterable, Sendable {
        case cancel, resume, delete

        /// As a client of another language, or a person, would give it.
        var sql: String {
            switch self {
            case .cancel:
                """
                UPDATE {s}.workflow_status SET status = 'CANCELLED', owner_xid = NULL, queue_name = NULL,
                       started_at_epoch_ms = NULL, completed_at = 1 WHERE workflow_uuid = 'w'
                """
            case .resume:
                """
                UPDATE {s}.workflow_status SET status = 'ENQUEUED', owner_xid = NULL, recovery_attempts = 0,
                       queue_name = '_dbos_internal_queue' WHERE workflow_uuid = 'w'
                """
            case .delete:
                """
                WITH i AS (DELETE FROM {s}.workflow_input WHERE workflow_uuid = 'w'),
                     o AS (DELETE FROM {s}.operation_outputs WHERE workflow_uuid = 'w')
                DELETE FROM {s}.workflow_status WHERE workflow_uuid = 'w'
                """
            }
        }

        func give(_ fleet: Fleet) async throws {
            switch self {
            case .cancel: try await fleet.client.cancel(["w"])
            case .resume: try await fleet.client.resume(["w"])
            case .delete: try await fleet.database.query(self.sql)
            }
        }
    }

    enum Moment: CaseIterable, Sendable {
        /// The owner is dead, and nobody has looked for its work yet.
        case beforeReclaim
        /// A reclaim has the workflow, and has not committed: the order waits for it.
        case duringReclaim
        /// The order has the workflow, and has not committed: the reclaim passes it over.
        case beforeReclaimCommits
        /// The workflow is back in its queue, and nobody has claimed it yet.
        case beforeClaim
    }

    @Test("is obeyed, whoever comes first", arguments: Order.allCases, Moment.allCases)
    func order(order: Order, moment: Moment) async throws {
        try await Fleet.with { fleet in
            let owner = try await fleet.start("one", timing: .longLease)
            let handle = try await fleet.enqueue("w", steps: 2, gates: [2])
            // Taken over together with the other one: when it runs again, the reclaim is over.
            let companion = try await fleet.enqueue("companion", steps: 1, gates: [1])
            try await fleet.folder.until("effect w 2")
            try await fleet.folder.until("effect companion 1")
            // A drained executor takes over, but claims nothing: no claim comes between.
            if moment == .duringReclaim || moment == .beforeClaim {
                _ = try await fleet.start("drained", timing: .longLease)
                try await fleet.client.drain(["drained"])
                try await until("it is draining") { try await fleet.lives(of: "drained") == ["draining"] }
            }
            switch moment {
            case .beforeReclaim:
                await owner.killNow()
                try await order.give(fleet)
                _ = try await fleet.start("two", timing: .longLease)
            case .duringReclaim:
                let given = try await fleet.holdingReclaims {
                    await owner.killNow()
                    try await fleet.untilReclaimIsHeld()
                    let given = Task { try await order.give(fleet) }
                    // The reclaim waits for the test, the order for the reclaim.
                    try await fleet.untilBlocked("%{s}%workflow_status%", count: 2)
                    return given
                }
                try await given.value
                _ = try await fleet.start("two", timing: .longLease)
            case .beforeReclaimCommits:
                await owner.killNow()
                try await fleet.holding(order.sql) {
                    _ = try await fleet.start("two", timing: .longLease)
                    try await fleet.folder.until("effect companion 1", happened: 2)
                }
            case .beforeClaim:
                await owner.killNow()
                try await fleet.database.until("w", is: .enqueued)
                try await order.give(fleet)
                _ = try await fleet.start("two", timing: .longLease)
            }
            fleet.folder.open("w-2")
            fleet.folder.open("companion-1")
            #expect(try await companion.result() == 1)
            try await Self.check(order, moment, handle, fleet)
        }
    }

    private static func check(
        _ order: Order,
        _ moment: Moment,
        _ handle: WorkflowHandle<Int>,
        _ fleet: Fleet
    ) async throws {
        switch order {
        case .cancel:
            #expect(await failure { _ = try await handle.result() } == "workflow 'w' was cancelled")
        case .resume:
            #expect(try await handle.result() == 2)
            // Counted anew.
            #expect(try await fleet.client.workflow("w").recoveryAttempts == 1)
            #expect(try await fleet.client.workflow("w").executorID == "two")
        case .delete:
            let text = await failure { _ = try await handle.result() }
            #expect(text == "NonExistentWorkflow: no workflow has the id 'w' any more")
            #expect(try await fleet.rows() == [])
        }
        // Everybody who could still run it has had the time to claim what came later.
        _ = try await fleet.enqueue(noop, Nothing(), id: "last").result()
        #expect(fleet.folder.count("effect w 1") == 1)
        #expect(fleet.folder.count("effect w 2") == (order == .resume ? 2 : 1))
        let isTakenOver = moment == .duringReclaim || moment == .beforeClaim
        #expect(try await fleet.takeovers() == (isTakenOver ? ["one \(fleet.reasonOfADeath) requeued"] : []))
        // Nothing keeps the dead owner on the list of those whose work is to be taken over.
        try await fleet.database.until(
            "SELECT count(*) FROM {h}.executors WHERE executor_id = 'one' AND reclaimed_at IS NOT NULL",
            is: 1
        )
    }
}
