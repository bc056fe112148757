// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastCore
import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("What a renewal costs the database", .timeLimit(.minutes(5)))
struct RenewalCostTests {
    private struct Cost: Sendable {
        /// Pages that the statement looked at.
        var buffers: Int
        var milliseconds: Double
    }

    /// Of the statement that executors send, among so many members that live and whose leases hold.
    private static func cost(members: Int) async throws -> Cost {
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            let incarnations = (0..<members).map { _ in Incarnation() }
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, session_server_epoch, workflows)
                SELECT i, 'executor-' || i, 'test-app', 'v1', 'active', 'host', 1, 256, 3600000, now(),
                       now() + interval '1 hour', hashtext('{h}'), pg_postmaster_start_time(), '{checkout,ship-order}'
                  FROM unnest($1::text[]) i
                """,
                .textArray(incarnations.map(\.text))
            )
            let system = SystemDatabase(
                pool: database.pool,
                names: try database.configuration.names(),
                logger: TestDatabase.logger
            )
            func renewal(of incarnation: Incarnation) -> PostgresQuery {
                let member = Member(
                    incarnation: incarnation,
                    began: 1,
                    life: 0,
                    executorID: "executor-\(incarnation.text)",
                    applicationName: "test-app",
                    applicationVersion: "v1",
                    host: "host",
                    pid: 1,
                    capacity: 256,
                    workflows: [],
                    leaseMilliseconds: 3_600_000
                )
                return system.renewQuery(member, running: 1, isDraining: false, hasSession: true)
            }
            // All of them watch each other: nobody is gone.
            return try await database.holding("SELECT pg_advisory_xact_lock(hashtext('{h}'))") {
                // A fleet that has run for a while.
                for _ in 0..<3 {
                    for incarnation in incarnations { _ = try await database.pool.execute(renewal(of: incarnation)) }
                }
                try await database.query("VACUUM (ANALYZE) {h}.executors")
                var costs: [Cost] = []
                for index in 0..<60 {
                    var query = renewal(of: incarnations[index % members])
                    let report = try system.readRenewal(try await database.pool.execute(query))
                    #expect(report.suspects.isEmpty && report.unreclaimed.isEmpty)
                    query.sql = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query.sql
                    costs.append(try Self.cost(inPlan: try await database.pool.execute(query)))
                }
                return Cost(
                    buffers: costs.map(\.buffers).sorted()[costs.count / 2],
                    milliseconds: costs.map(\.milliseconds).sorted()[costs.count / 2]
                )
            }
        }
    }

    private static func cost(inPlan result: PostgresResult) throws -> Cost {
        struct Explanation: Decodable {
            struct Plan: Decodable {
                var hit: Int
                var read: Int
                enum CodingKeys: String, CodingKey {
                    case hit = "Shared Hit Blocks"
                    case read = "Shared Read Blocks"
                }
            }
            var plan: Plan
            var time: Double
            enum CodingKeys: String, CodingKey {
                case plan = "Plan"
                case time = "Execution Time"
            }
        }
        let text = try #require(try result.first?.string(0))
        let explanation = try #require(try JSONDecoder().decode([Explanation].self, from: Data(text.utf8)).first)
        return Cost(buffers: explanation.plan.hit + explanation.plan.read, milliseconds: explanation.time)
    }

    @Test("is at most twice as much among 1,000 members as among 10")
    func growth() async throws {
        let small = try await Self.cost(members: 10)
        let large = try await Self.cost(members: 1000)
        print(
            "a renewal among 10 members: \(small.buffers) buffers, \(small.milliseconds) ms; among 1,000: "
                + "\(large.buffers) buffers, \(large.milliseconds) ms"
        )
        #expect(large.buffers <= 2 * small.buffers)
        // The times of two moments on a machine with other things to do say less: only what grows with the fleet is found.
        #expect(large.milliseconds <= 10 * small.milliseconds)
    }
}
