// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Testing

@Suite("The view of the fleet", .timeLimit(.minutes(5)))
struct FleetViewTests {
    @Test("counts what members own once for all of them, by their lives")
    func owned() async throws {
        try await TestDatabase.with { database in
            try await database.query(
                """
                INSERT INTO {h}.executors (incarnation, executor_id, application_name, application_version, state, host,
                                           pid, capacity, lease_ms, renewed_at, lease_expires_at, lock_key)
                SELECT lpad(i::text, 16, '0'), 'slot', 'test-app', 'v1', 'dead', 'h', 1, 8, 1000, now(), now(), i
                  FROM generate_series(1, 3) i
                """
            )
            try await database.query(
                """
                INSERT INTO {s}.workflow_status (workflow_uuid, status, name, executor_id, owner_xid)
                SELECT 'w' || i, 'PENDING', 'w', 'slot', lpad((1 + i % 2)::text, 16, '0') || '-token'
                  FROM generate_series(1, 5) i
                """
            )
            try await withClient(database) { client in
                let owned = try await client.fleet().map { [$0.incarnation.suffix(1): $0.ownedWorkflows] }
                #expect(owned.reduce(into: [:]) { $0.merge($1) { $1 } } == ["1": 2, "2": 3, "3": 0])
            }
            let schemas = database.configuration
            let names = try SchemaNames(dbos: schemas.schema, holdfast: schemas.ownSchema)
            let plan = try await database.query("EXPLAIN " + SystemDatabase.fleetSQL(names), .text(nil))
                .map { try $0.string(0) }.joined(separator: "\n")
            #expect(!plan.contains("SubPlan"), "\(plan)")
        }
    }
}
