// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastCore
import HoldfastPostgres
import Testing

@testable import FleetSimulation
@testable import Holdfast

/// The simulated database and a real one, which get the same statements.
///
/// Leases last an hour, so that time that passes in the real one makes no difference.
struct Twins {
    private static let hour = 3_600_000
    private static let queue = "q"

    let database: TestDatabase
    let system: SystemDatabase
    var model: SimulatedDatabase
    private var judge: Judge
    private var members: [Member] = []
    private var sessions: [PostgresConnection] = []
    private(set) var tokens: [Token] = []

    static func with(
        seed: UInt64,
        _ database: TestDatabase,
        _ body: (inout Twins) async throws -> Void
    ) async throws {
        _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
        var twins = try Twins(seed: seed, database)
        for work in twins.model.works.indices.dropLast(2) { try await twins.enqueue(work) }
        try await body(&twins)
        for session in twins.sessions { await session.close() }
    }

    private init(seed: UInt64, _ database: TestDatabase) throws {
        var generator = SeededGenerator(seed: seed)
        var settings = Settings(&generator)
        settings.slots = 3
        settings.lease = Self.hour
        settings.skew = 0
        let works = (0..<6).map { _ in SimulatedDatabase.Work(steps: 3) }
        self.database = database
        self.system = SystemDatabase(
            pool: database.pool,
            names: try database.configuration.names(),
            logger: TestDatabase.logger
        )
        self.model = SimulatedDatabase(settings: settings, works: works, mutant: nil)
        self.judge = Judge(seed: seed, settings: settings, works: works)
    }

    private func id(_ work: Int) -> String { "w\(work)" }

    private mutating func enqueue(_ work: Int) async throws {
        try await self.database.query(
            """
            INSERT INTO {s}.workflow_status (workflow_uuid, status, name, queue_name, serialization, application_name,
                application_version, created_at)
            VALUES ($1, 'ENQUEUED', 'work', 'q', 'portable_json', 'test-app', 'v1', $2)
            """,
            .text(self.id(work)),
            .int8(Int64(work))
        )
        self.model.works[work].status = .enqueued
    }

    /// What the model answers; its statements are never kept waiting here.
    private mutating func ask(_ statement: Statement) throws -> Answer {
        let begun = self.model.begin(statement, now: 0)
        let transaction = try #require(begun)
        return self.model.commit(transaction, now: 0, judge: &self.judge) { _ in false }
    }

    // MARK: Membership

    mutating func begin() async throws -> Int {
        guard case .count(let place) = try self.ask(.begin) else { throw Disagreement("begin") }
        let began = try await self.system.nextBeginning()
        self.places.append(began)
        #expect(place == self.places.count)
        return place
    }

    /// The places of processes in the real order.
    private var places: [Int64] = []

    mutating func join(slot: Int, began: Int, number: Int) async throws -> Bool {
        let member = Member(
            incarnation: Incarnation(),
            began: self.places[began - 1],
            life: Int32(number),
            executorID: "slot \(slot)",
            applicationName: "test-app",
            applicationVersion: "v1",
            host: "host",
            pid: 1,
            capacity: 1,
            workflows: ["work"],
            leaseMilliseconds: Int64(Self.hour)
        )
        self.members.append(member)
        let life = self.model.addLife(
            SimulatedDatabase.Life(
                incarnation: member.incarnation,
                slot: slot,
                process: began,
                began: began,
                number: number
            )
        )
        guard case .joined(let hasJoined, _, _) = try self.ask(.join(life: life)) else { throw Disagreement("join") }
        let report = try await self.system.join(member)
        #expect(report.hasJoined == hasJoined, "join of life \(life)")
        return hasJoined
    }

    mutating func renew(_ life: Int, session: SessionReport, isDraining: Bool) async throws {
        guard case .renewed(let renewal) = try self.ask(.renew(life: life, session: session, isDraining: isDraining))
        else { throw Disagreement("renew") }
        let query = self.system.renewQuery(
            self.members[life],
            running: 0,
            isDraining: isDraining,
            hasSession: session == .unchanged ? nil : session != .absent
        )
        let report = try self.system.readRenewal(try await self.database.pool.execute(query))
        switch (report.answer, renewal.answer) {
        case (.renewed, .renewed), (.declaredDead, .declaredDead), (.superseded, .superseded): break
        default: Issue.record("renewal of life \(life): \(report.answer), and not \(renewal.answer)")
        }
        let suspects = renewal.suspects.map {
            ReclaimMachine.Suspect(
                incarnation: self.members[$0.life].incarnation.text,
                lease: "",
                isLeaseExpired: $0.isLeaseExpired,
                isOverdue: $0.isOverdue,
                isSessionGone: $0.isSessionGone
            )
        }
        // The leases end by different clocks.
        #expect(
            Set(
                report.suspects.map {
                    var suspect = $0
                    suspect.lease = ""
                    return suspect
                }
            ) == Set(suspects)
        )
        let unreclaimed = renewal.unreclaimed.map { self.members[$0].incarnation.text }
        #expect(Set(report.unreclaimed.map(\.incarnation)) == Set(unreclaimed))
    }

    /// Sets the end of a lease, from now.
    mutating func setLease(of life: Int, to milliseconds: Int) async throws {
        guard self.model.lives[life].state != .absent else { return }
        self.model.lives[life].leaseExpiresAt = self.model.offset + milliseconds
        try await self.database.query(
            """
            UPDATE {h}.executors SET lease_expires_at = clock_timestamp() + $2::int8 * interval '1 millisecond'
             WHERE incarnation = $1
            """,
            .text(self.members[life].incarnation.text),
            .int8(Int64(milliseconds))
        )
    }

    mutating func openSession(_ life: Int) async throws -> Int {
        let session = try await self.connect()
        _ = try await session.execute(self.system.leaseLockQuery(self.members[life].incarnation))
        self.sessions.append(session)
        self.model.sessions.append(SimulatedDatabase.Session(process: 0, epoch: self.model.epoch, lockedLife: life))
        return self.sessions.count - 1
    }

    /// On a busy machine a connection may take longer than it has.
    private func connect() async throws -> PostgresConnection {
        var attempts = 0
        while true {
            do {
                return try await PostgresConnection.connect(TestDatabase.connection(), logger: TestDatabase.logger)
            } catch {
                attempts += 1
                if attempts == 10 || !error.isTransient { throw error }
            }
        }
    }

    mutating func closeSession(_ session: Int) async throws {
        guard self.model.sessions[session].isOpen, let life = self.model.sessions[session].lockedLife else { return }
        self.model.sessions[session].isOpen = false
        await self.sessions[session].close()
        let key = self.members[life].incarnation.lockKey
        try await self.database.until(
            """
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
               AND (classid::int8 << 32) | objid::int8 = \(key) AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            is: 0
        )
    }

    mutating func declareDead(_ suspicions: [Suspicion]) async throws {
        let leases = suspicions.map { $0.leaseEnd == self.model.lives[$0.life].leaseExpiresAt }
        guard case .declaredDead(let ended) = try self.ask(.declareDead(suspicions)) else {
            throw Disagreement("death")
        }
        var suspects: [ReclaimMachine.Suspect] = []
        for (suspicion, isPresent) in zip(suspicions, leases) {
            let incarnation = self.members[suspicion.life].incarnation.text
            let lease = try await self.database.query(
                "SELECT extract(epoch FROM lease_expires_at)::text FROM {h}.executors WHERE incarnation = $1",
                .text(incarnation)
            ).first?.string(0)
            suspects.append(
                ReclaimMachine.Suspect(
                    incarnation: incarnation,
                    lease: isPresent ? lease ?? "" : "0",
                    isLeaseExpired: suspicion.isLeaseExpired,
                    isOverdue: suspicion.isOverdue,
                    isSessionGone: suspicion.isSessionGone
                )
            )
        }
        let dead = try await self.system.declareDead(suspects, by: "gravedigger")
        #expect(Set(dead.map(\.dead.incarnation)) == Set(ended.map { self.members[$0].incarnation.text }))
    }

    mutating func leave(_ life: Int) async throws {
        _ = try self.ask(.leave(life: life))
        _ = try await self.system.leave(self.members[life])
    }

    // MARK: Takeover

    private func dead(_ life: Int) -> ReclaimMachine.Dead {
        ReclaimMachine.Dead(
            incarnation: self.members[life].incarnation.text,
            executorID: self.members[life].executorID,
            reason: self.model.lives[life].reason?.rawValue ?? ""
        )
    }

    mutating func reclaim(_ lives: [Int], by life: Int, limit: Int) async throws {
        guard case .count(let count) = try self.ask(.reclaim(lives, limit: limit)) else {
            throw Disagreement("reclaim")
        }
        let report = try await self.system.reclaim(
            lives.map(self.dead),
            by: self.members[life],
            limit: limit,
            quarantineAfter: nil
        )
        #expect(report.total == count)
        // Strikes have tests of their own.
        try await self.database.query("DELETE FROM {h}.takeovers")
    }

    mutating func markReclaimed(_ lives: [Int]) async throws {
        _ = try self.ask(.markReclaimed(lives))
        try await self.system.markReclaimed(lives.map { self.members[$0].incarnation.text })
    }

    mutating func reviewEnded() async throws {
        guard case .count(let count) = try self.ask(.reviewEnded) else { throw Disagreement("review") }
        #expect(try await self.system.reviewEnded(applicationName: "test-app") == count)
    }

    // MARK: Work

    mutating func token(of life: Int) -> Token {
        let text = "\(self.members[life].incarnation.text)-\(self.tokens.count)-t"
        let token = Token(text: text, life: life)
        self.tokens.append(token)
        return token
    }

    mutating func claim(_ token: Token, limit: Int) async throws {
        guard case .claimed(let claimed) = try self.ask(.claim(token, limit: limit)) else {
            throw Disagreement("claim")
        }
        let found = try await self.system.claim(
            [ClaimPlanner.Budget(queue: Self.queue, limit: limit)],
            scope: ClaimScope(
                executorID: self.members[token.life].executorID,
                applicationName: "test-app",
                applicationVersion: "v1",
                workflowNames: ["work"]
            ),
            token: token.text,
            now: nil
        )
        #expect(found.map(\.workflowID) == claimed.map { self.id($0.work) })
        #expect(found.map(\.hasCheckpoints) == claimed.map(\.hasCheckpoints))
    }

    mutating func start(_ work: Int, _ token: Token) async throws {
        guard case .stored(let isOurs) = try self.ask(.startDirectly(work: work, token)) else {
            throw Disagreement("start")
        }
        var row = StartRow(
            workflowID: self.id(work),
            status: .pending,
            name: "work",
            inputs: "{}",
            creatorToken: token.text,
            ownerToken: token.text
        )
        row.executorID = self.members[token.life].executorID
        row.applicationName = "test-app"
        row.applicationVersion = "v1"
        row.recoveryAttempts = 1
        let stored = try self.system.readStarted(
            try await self.database.pool.execute(self.system.startQuery([row], patience: .seconds(60))),
            count: 1
        )
        #expect(stored.map { $0?.isOurs } == [isOurs])
        // On a queue of ours, once it comes back; and in the order of the model.
        try await self.database.query(
            "UPDATE {s}.workflow_status SET queue_name = 'q', created_at = $2 WHERE workflow_uuid = $1",
            .text(self.id(work)),
            .int8(Int64(work))
        )
    }

    mutating func checkpoint(_ work: Int, _ token: Token, step: Int, stamp: Int) async throws {
        let record = Record(value: stamp, stamp: stamp)
        guard case .checkpoint(let answer) = try self.ask(.checkpoint(work: work, token, step: step, record)) else {
            throw Disagreement("checkpoint")
        }
        let row = CheckpointRow(
            workflowID: self.id(work),
            token: token.text,
            functionID: Int32(step + 1),
            name: "step",
            output: "\(stamp)",
            startedAt: 0,
            completedAt: Int64(stamp)
        )
        let query = self.system.checkpointQuery([row], applicationName: "test-app", patience: .seconds(60))
        let results = try self.system.readCheckpoints(try await self.database.pool.execute(query), of: [row])
        let expected: CheckpointResult =
            switch answer {
            case .recorded: .recorded
            case .lostOwnership: .lostOwnership
            case .conflict: .conflict
            }
        #expect(results == [expected])
    }

    mutating func finish(_ work: Int, _ token: Token) async throws {
        guard case .count(let count) = try self.ask(.outcome(work: work, token, value: 1)) else {
            throw Disagreement("outcome")
        }
        let row = OutcomeRow(workflowID: self.id(work), token: token.text, status: .success, output: "1")
        let query = self.system.outcomeQuery([row], patience: .seconds(60))
        let written = try self.system.readOutcomes(try await self.database.pool.execute(query), count: 1)
        #expect(written == [count == 1])
    }

    mutating func handBack(_ work: Int, _ token: Token) async throws {
        _ = try self.ask(.handBack(work: work, token))
        let owner = Owner(workflowID: self.id(work), token: token.text)
        _ = try await self.database.pool.execute(self.system.handBackQuery([owner], patience: .seconds(60)))
    }

    /// All of them must be of one life.
    mutating func handBackClaims(_ tokens: [Token]) async throws {
        guard let life = tokens.first?.life else { return }
        guard case .returned(let found, let count) = try self.ask(.handBackClaims(tokens)) else {
            throw Disagreement("lost claims")
        }
        let returned = try await self.system.handBackClaims(
            tokens.map(\.text),
            executorID: self.members[life].executorID
        )
        #expect(returned == (found, count))
    }

    mutating func cancel(_ work: Int) async throws {
        self.model.cancel(work, judge: &self.judge)
        _ = try await self.system.cancel([self.id(work)])
    }

    mutating func resume(_ work: Int) async throws {
        guard self.model.works[work].status != .absent else { return }
        self.model.resume(work, judge: &self.judge)
        _ = try await self.system.resume([self.id(work)], queue: Self.queue)
    }

    // MARK: Comparing

    /// Compares all that the tables hold.
    func compare(after what: String) async throws {
        let works = try await self.database.query(
            """
            SELECT workflow_uuid, status, coalesce(owner_xid, '-'), recovery_attempts,
                   (SELECT string_agg(function_id || '=' || completed_at_epoch_ms, ' ' ORDER BY function_id)
                      FROM {s}.operation_outputs o WHERE o.workflow_uuid = w.workflow_uuid)
              FROM {s}.workflow_status w ORDER BY workflow_uuid
            """
        ).map { row in
            "\(try row.string(0)) \(try row.string(1)) \(try row.string(2)) \(try row.int(3)) "
                + (try row.optionalString(4) ?? "-")
        }
        let expectedWorks = self.model.works.enumerated().filter { $1.status != .absent }.map { index, work in
            let records = work.records.enumerated().compactMap { step, record in
                record.map { "\(step + 1)=\($0.stamp)" }
            }
            return "\(self.id(index)) \(work.status)".uppercasingStatus
                + " \(work.owner?.text ?? "-") \(work.attempts) \(records.isEmpty ? "-" : records.joined(separator: " "))"
        }
        #expect(works == expectedWorks, "after \(what)")

        let lives = try await self.database.query(
            "SELECT incarnation, state, coalesce(end_reason, '-'), reclaimed_at IS NOT NULL FROM {h}.executors"
        ).map { "\(try $0.string(0)) \(try $0.string(1)) \(try $0.string(2)) \(try $0.bool(3))" }
        let expectedLives = self.model.lives.filter { $0.state != .absent }.map {
            "\($0.incarnation.text) \($0.state) \($0.reason?.rawValue ?? "-") \($0.isReclaimed)"
        }
        #expect(Set(lives) == Set(expectedLives), "after \(what)")
    }

    struct Disagreement: Error {
        let statement: String
        init(_ statement: String) { self.statement = statement }
    }
}

extension String {
    /// The status of a workflow as the database spells it, after its id.
    fileprivate var uppercasingStatus: String {
        let words = self.split(separator: " ")
        return "\(words[0]) \(words[1].uppercased())"
    }
}
