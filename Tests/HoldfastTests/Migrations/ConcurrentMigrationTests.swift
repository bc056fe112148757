// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import TestSupport
import Testing

@testable import Holdfast

@Suite(.timeLimit(.minutes(5))) struct ConcurrentMigrationTests {
    private func migrateTenTimes(_ migrator: Migrator) async throws -> [MigrationReport] {
        try await withThrowingTaskGroup(of: MigrationReport.self) { group in
            for _ in 0..<10 { group.addTask { try await self.migrate(migrator) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Tries again when it got no connection, as an executor does: other tests end sessions and drop databases on this server.
    private func migrate(_ migrator: Migrator) async throws -> MigrationReport {
        for _ in 0..<10 {
            do { return try await migrator.migrate() } catch let error as PostgresError where error.isTransient {}
        }
        return try await migrator.migrate()
    }

    @Test func oneOfTenCreates() async throws {
        try await ScratchDatabase.with { database in
            let reports = try await migrateTenTimes(database.migrator())
            #expect(reports.count { $0.dbos.outcome == .created } == 1)
            #expect(reports.count { $0.holdfast.outcome == .created } == 1)
            #expect(reports.allSatisfy { $0.dbos.version == 125 && $0.holdfast.version == HoldfastSchema.knownVersion })
            #expect(try await database.catalog() == Fixture.dbosCatalog())
            #expect(try await database.recordedVersions() == [125])
        }
    }

    /// Should the locks fail, order comes from the transactions alone.
    @Test func oneOfTenCreatesEvenWithoutAnyLock() async throws {
        try await ScratchDatabase.with { database in
            let names = SchemaNames.standard
            let outcomes = try await withThrowingTaskGroup(of: [MigrationReport.Outcome].self) { group in
                for _ in 0..<10 {
                    let connection = try await database.connect()
                    let logger = ScratchDatabase.silentLogger
                    group.addTask {
                        let dbos = try await DBOSMigration(connection, names.dbos, MigrationTiming(), logger).run(
                            found: 0
                        )
                        let holdfast = try await HoldfastMigration(connection, names, MigrationTiming(), logger).run(
                            found: 0
                        )
                        return [dbos.outcome, holdfast.outcome]
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes.count == 20)
            #expect(outcomes.count { $0 == .created } == 2)
            #expect(outcomes.count { $0 == .current } == 18)
            #expect(try await database.catalog() == Fixture.dbosCatalog())
        }
    }

    /// Another SDK's lock that nobody frees costs the first program its patience, and the others nothing.
    @Test(.direct(because: "behind a pooler one transaction holds both locks or none"))
    func oneOfTenUpgradesWithoutTheSharedLock() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-99.sql") { database in
            try await database.execute("SELECT pg_advisory_lock(\(MigrationLock.sharedKey))")
            let log = LogRecorder()
            var migrator = database.migrator(logger: log.logger)
            migrator.timing.lockPatience = .zero
            let reports = try await migrateTenTimes(migrator)
            #expect(reports.count { $0.dbos.outcome == .upgraded } == 1)
            #expect(reports.allSatisfy { $0.dbos.version == 125 })
            #expect(try await database.catalog() == Fixture.dbosCatalog())
            #expect(log.count(of: "Going on without") == 1)
        }
    }

    @Test func oneOfTenUpgrades() async throws {
        try await ScratchDatabase.with(fixture: "dbos-level-99.sql") { database in
            let reports = try await migrateTenTimes(database.migrator())
            #expect(reports.count { $0.dbos.outcome == .upgraded } == 1)
            #expect(reports.allSatisfy { $0.dbos.version == 125 })
            #expect(try await database.catalog() == Fixture.dbosCatalog())
        }
    }

    /// A snapshot in the session that holds the locks would make other SDKs' index builds wait for it, unseen by the
    /// deadlock detector.
    @Test(.direct(because: "behind a pooler one transaction holds both locks or none"))
    func theHolderOfTheLocksHasNoTransaction() async throws {
        try await ScratchDatabase.with { database in
            let migrator = database.migrator()
            let lock = try await MigrationLock.acquire(
                migrator.configuration,
                timing: migrator.timing,
                logger: ScratchDatabase.silentLogger
            )
            try await lock.acquireShared()
            #expect(!lock.isPooled)
            #expect(!lock.connection.isInTransaction)
            let keys = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = $1"
            #expect(try await database.execute(keys, [.int4(lock.connection.backendPID)]).count == 2)
            await lock.release()
        }
    }

    /// As behind a pooler, where a session's lock would be lost.
    @Test func aTransactionHoldsBothLocksOrNone() async throws {
        try await ScratchDatabase.with { database in
            let log = LogRecorder()
            var timing = MigrationTiming()
            timing.lockPatience = .zero
            let connection = try await database.connect()
            let lock = MigrationLock(connection: connection, timing: timing, logger: log.logger, isPooled: true)
            try await database.execute("SELECT pg_advisory_lock(\(MigrationLock.sharedKey))")
            try await lock.waitInTransactions()
            #expect(!connection.isInTransaction)
            #expect(log.count(of: "Going on without") == 1)
            try await database.execute("SELECT pg_advisory_unlock(\(MigrationLock.sharedKey))")
            try await lock.waitInTransactions()
            let snapshot = try await database.execute(
                "SELECT count(*), count(backend_xmin) FROM pg_stat_activity WHERE pid = $1 AND state = 'idle in transaction'",
                [.int4(connection.backendPID)]
            )[0]
            #expect(try snapshot.int(0) == 1)
            #expect(try snapshot.int(1) == 0)
            // An index can be built although the transaction stays open.
            try await database.execute("CREATE TABLE t (id INT)")
            try await database.execute("CREATE INDEX CONCURRENTLY i ON t (id) WHERE id > 0")
            await lock.release()
        }
    }

    @Test func theLockOfOtherSDKsIsAwaited() async throws {
        try await ScratchDatabase.with { database in
            try await database.execute("SELECT pg_advisory_lock(\(MigrationLock.sharedKey))")
            let log = LogRecorder()
            let migrator = database.migrator(logger: log.logger)
            async let report = migrator.migrate()
            await log.wait(for: "Waiting for another program")
            #expect(try await database.catalog().isEmpty)
            try await database.execute("SELECT pg_advisory_unlock(\(MigrationLock.sharedKey))")
            #expect(try await report.dbos.outcome == .created)
            // Free again afterwards.
            let isFree = try await database.execute("SELECT pg_try_advisory_lock(\(MigrationLock.sharedKey))")[0].bool(
                0
            )
            #expect(isFree)
        }
    }

    @Test func aLockThatIsNeverFreedOnlyDelays() async throws {
        try await ScratchDatabase.with { database in
            try await database.execute("SELECT pg_advisory_lock(\(MigrationLock.sharedKey))")
            let log = LogRecorder()
            var migrator = database.migrator(logger: log.logger)
            migrator.timing.lockPatience = .zero
            #expect(try await migrator.migrate().dbos.outcome == .created)
            await log.wait(for: "Going on without the migration lock")
        }
    }

    /// Python migrates number by number: a look in the middle finds a version that by itself would be refused.
    @Test func anotherSDKsFirstStartIsAwaited() async throws {
        try await ScratchDatabase.with { database in
            try await database.execute("SELECT pg_advisory_lock(\(MigrationLock.sharedKey))")
            try await database.connection.executeScript(
                """
                CREATE SCHEMA dbos;
                CREATE TABLE dbos.dbos_migrations (version BIGINT NOT NULL PRIMARY KEY);
                INSERT INTO dbos.dbos_migrations VALUES (7);
                CREATE TABLE dbos.workflow_status (workflow_uuid TEXT PRIMARY KEY);
                """
            )
            let log = LogRecorder()
            let migrator = database.migrator(logger: log.logger)
            async let report = migrator.migrate()
            await log.wait(for: "Waiting for another program")
            try await database.connection.executeScript("DROP SCHEMA dbos CASCADE")
            let loader = try await database.connect()
            try await loader.executeScript(Fixture.text("dbos-level-108.sql"))
            await loader.close()
            try await database.execute("SELECT pg_advisory_unlock(\(MigrationLock.sharedKey))")
            #expect(try await report.dbos == .init(outcome: .upgraded, found: 7, version: 125))
        }
    }
}
