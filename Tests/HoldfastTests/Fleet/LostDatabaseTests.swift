// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import TestSupport
import Testing

@Suite("An executor that loses its database for longer than its lease", .timeLimit(.minutes(10)))
struct LostDatabaseTests {
    enum Loss: CaseIterable, Sendable {
        /// Connections end, new ones are refused.
        case refused
        /// Nothing passes for a while; then everything that was sent arrives.
        case late
        /// Nothing passes, and the connections of that time stay silent for ever.
        case forgotten

        func begin(_ proxy: TCPProxy) { proxy.become(self == .refused ? .closed : .silent) }

        func end(_ proxy: TCPProxy) {
            if self == .forgotten { proxy.forgetConnections() } else { proxy.become(.open) }
        }
    }

    @Test(
        "stops by itself, comes back as a new incarnation, and writes nothing of the old one's",
        arguments: Loss.allCases
    )
    func comesBack(loss: Loss) async throws {
        try await Fleet.with { fleet in
            try await fleet.withProxy { proxy, url in
                _ = try await fleet.start("one", timing: .shortLease) { $0.url = url }
                let cancelled = try await fleet.enqueue("w", steps: 2, gates: [1])
                let late = try await fleet.enqueue("late", steps: 2, gates: [1])
                try await fleet.folder.until("effect w 1")
                try await fleet.folder.until("effect late 1")
                let second = try await fleet.start("two", timing: .shortLease)
                loss.begin(proxy)
                // The checkpoint of this step is on its way when the way is cut.
                fleet.folder.open("late-1")
                try await fleet.folder.until("cancelled w 1")
                try await fleet.folder.until("effect w 1", happened: 2)
                fleet.folder.open("w-1")
                for handle in [cancelled, late] { #expect(try await handle.result() == 2) }
                // Whoever is cut off claims nothing, and others do not wait for it.
                for index in 0..<10 { _ = try await fleet.enqueue(noop, Nothing(), id: "n\(index)").result() }
                let before = [try await fleet.rows(), try await fleet.rows(of: "late")]

                loss.end(proxy)
                let reason = loss == .refused ? fleet.reasonOfADeath : "lease_expired"
                try await until("it is back") {
                    try await fleet.lives(of: "one") == ["dead \(reason)", "active"]
                }
                await second.killNow()
                _ = try await fleet.enqueue(noop, Nothing(), id: "after").result()
                #expect(try await fleet.client.workflow("after").executorID == "one")
                #expect([try await fleet.rows(), try await fleet.rows(of: "late")] == before)
                for id: WorkflowID in ["w", "late"] {
                    #expect(try await fleet.takeovers(of: id) == ["one \(reason) requeued"])
                    #expect(try await fleet.client.workflow(id).executorID == "two")
                    #expect(try await fleet.client.workflow(id).recoveryAttempts == 2)
                }
                #expect(fleet.folder.lines().filter { $0.hasSuffix(" one") && $0.hasPrefix("effect") }.count == 2)
            }
        }
    }

    @Test("and is stopped meanwhile ends all the same, without waiting for the server")
    func stopped() async throws {
        try await Fleet.with { fleet in
            try await fleet.withProxy { proxy, url in
                let first = try await fleet.start("one", timing: .shortLease) { $0.url = url }
                let handle = try await fleet.enqueue("w", steps: 1, gates: [1])
                try await fleet.folder.until("effect w 1")
                proxy.become(.silent)
                first.signal(SIGTERM)
                first.signal(SIGTERM)
                #expect(await first.ended() == 0)
                _ = try await fleet.start("two", timing: .shortLease)
                fleet.folder.open("w-1")
                #expect(try await handle.result() == 1)
                #expect(try await fleet.takeovers() == ["one lease_expired requeued"])
            }
        }
    }

    @Test("at the very end, when it says goodbye, does not wait for it either")
    func goodbye() async throws {
        try await Fleet.with { fleet in
            // The self-stop is also how long it waits; it must not come first.
            let first = try await fleet.start("one", timing: .init(selfStop: 6000, lease: 8000))
            try await fleet.holding("SELECT 1 FROM {h}.executors WHERE executor_id = 'one' FOR UPDATE") {
                first.signal(SIGTERM)
                #expect(await first.ended() == 0)
            }
            #expect(fleet.folder.log(of: "one").contains("left without saying so; peers will notice"))
        }
    }
}
