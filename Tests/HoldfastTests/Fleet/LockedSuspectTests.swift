// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("Two members whose leases have expired", .timeLimit(.minutes(5)))
struct LockedSuspectTests {
    /// The transaction of a claim, whose client may be gone, locks its member.
    @Test("one of them locked by a transaction: the other is declared dead at once, the locked one when it is free")
    func locked() async throws {
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, workflows)
                SELECT name, name, 'test-app', 'v1', 'active', 'host', 1, 1, 1000, now() - interval '1 minute',
                       now() - interval '1 minute', 0, '{}'
                  FROM unnest(ARRAY['claiming', 'quiet']) AS name
                """
            )
            let system = SystemDatabase(
                pool: database.pool,
                names: try database.configuration.names(),
                logger: TestDatabase.logger
            )
            func bury() async throws -> [String] {
                let leases = try await database.query(
                    "SELECT incarnation, extract(epoch FROM lease_expires_at)::text FROM {h}.executors"
                )
                let suspects = try leases.map {
                    ReclaimMachine.Suspect(
                        incarnation: try $0.string(0),
                        lease: try $0.string(1),
                        isLeaseExpired: true,
                        isOverdue: false,
                        isSessionGone: false
                    )
                }
                return try await system.declareDead(suspects, by: "gravedigger").map(\.dead.executorID)
            }
            let claim = try await PostgresConnection.connect(TestDatabase.connection(), logger: TestDatabase.logger)
            try await claim.executeScript("BEGIN")
            let members = "\(database.configuration.ownSchema).executors"
            _ = try await claim.execute(
                PostgresQuery("SELECT 1 FROM \(members) WHERE incarnation = 'claiming' FOR KEY SHARE")
            )
            #expect(try await bury() == ["quiet"])
            try await claim.executeScript("ROLLBACK")
            #expect(try await bury() == ["claiming"])
            #expect(try await bury().isEmpty)
            await claim.close()
        }
    }
}
