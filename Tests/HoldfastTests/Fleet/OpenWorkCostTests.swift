// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import TestSupport
import Testing

@testable import Holdfast

@Suite("What is asked about open work", .timeLimit(.minutes(5)))
struct OpenWorkCostTests {
    @Test("reads no finished rows, however many there are", .direct(because: "a session counts its own scans"))
    func finished() async throws {
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            for (status, count) in [("SUCCESS", 20_000), ("ENQUEUED", 20), ("PENDING", 20), ("DELAYED", 20)] {
                try await database.query(
                    """
                    INSERT INTO {s}.workflow_status (workflow_uuid, status, name, queue_name, application_name,
                                                     application_version, serialization, executor_id, owner_xid)
                    SELECT $1 || i, $1, 'work', 'q', 'test-app', 'v1', 'portable_json', 'gone', 'incarnation'
                      FROM generate_series(1, $2) i
                    """,
                    .text(status),
                    .int8(Int64(count))
                )
            }
            try await database.query(
                """
                INSERT INTO {s}.application_versions (version_id, version_name, application_name) VALUES ('1', 'v1', 'test-app')
                """
            )
            try await database.query("ANALYZE {s}.workflow_status")
            // One session: it counts what it has scanned, and tells when it is asked to.
            let pool = PostgresPool(TestDatabase.connection(), size: 1, logger: TestDatabase.logger)
            let system = SystemDatabase(
                pool: pool,
                names: try database.configuration.names(),
                logger: TestDatabase.logger
            )
            func scans() async throws -> Int {
                _ = try await pool.execute("SELECT pg_stat_force_next_flush()")
                let table = database.text("{s}.workflow_status")
                return try await pool.execute(
                    PostgresQuery("SELECT pg_stat_get_numscans($1::regclass)", [.text(table)])
                )[0].int(0)
            }
            func expectNoScan(_ what: String, _ statement: () async throws -> Void) async throws {
                let before = try await scans()
                try await statement()
                #expect(try await scans() == before, "\(what)")
            }
            try await expectNoScan("stranded work of an application") {
                let stranded = try await system.strandedWork(applicationName: "test-app")
                #expect(stranded.map(\.workflows) == [60])
            }
            try await expectNoScan("stranded work of all") { _ = try await system.strandedWork(applicationName: nil) }
            try await expectNoScan("versions") {
                let versions = try await system.versions(applicationName: "test-app")
                #expect(versions.map { [$0.enqueued, $0.pending, $0.delayed] } == [[20, 20, 20]])
            }
            try await expectNoScan("retiring a version with work") {
                let answer = try await system.retireVersion("v1", applicationName: "test-app")
                #expect(answer == false)
            }
            try await expectNoScan("depths of the queues") {
                let depth = try #require(try await system.queueDepths()["q"])
                #expect([depth.enqueued, depth.pending, depth.delayed] == [20, 20, 20])
            }
            try await expectNoScan("replay checks") {
                let open = try await system.requestReplayChecks(
                    "request",
                    of: "v1",
                    against: "v2",
                    applicationName: "test-app"
                )
                #expect(open == 60)
            }
            try await expectNoScan("review of the ended") {
                let answer = try await system.reviewEnded(applicationName: "test-app")
                #expect(answer == 0)
            }
            try await expectNoScan("pruning") { try await system.prune() }
            try await expectNoScan("re-pinning") {
                let answer = try await system.repin(from: "v1", to: "v2", applicationName: "test-app")
                #expect(answer == ["q": 40])
            }
            try await expectNoScan("retiring a version without work") {
                let answer = try await system.retireVersion("v0", applicationName: "test-app")
                #expect(answer == false)
            }
            await pool.close()
        }
    }
}
