// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastPostgres
import Synchronization
import Testing

@Suite("Versions of an application", .timeLimit(.minutes(5)))
struct VersionTests {
    static let workflow = WorkflowReference<Nothing, [String]>("versioned")

    /// Steps of these names, then a sleep of an hour unless `finishes`.
    private static func code(
        _ names: [StepName],
        finishes: Bool
    ) -> (inout WorkflowRegistry) throws -> Void {
        { registry in
            try registry.register(Self.workflow) { _, context in
                var taken: [String] = []
                for name in names { taken.append(try await context.step(name) { _ in name.rawValue }) }
                if !finishes { try await context.sleep(for: .seconds(3600)) }
                return taken
            }
        }
    }

    /// Leaves a workflow of version v1 in its queue, with the steps `a` and `b` recorded.
    @discardableResult
    private static func leaveOpen(_ database: TestDatabase) async throws -> WorkflowID {
        let id = try await withExecutor(database, version: "v1", register: Self.code(["a", "b"], finishes: false)) {
            executor in
            let handle = try await executor.client.start(Self.workflow, Nothing())
            try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 3)
            return handle.id
        }
        try await database.query("DELETE FROM {s}.operation_outputs WHERE function_name = 'DBOS.sleep'")
        return id
    }

    @Test("are serving, stranded, draining or safe to delete, and only the right ones can be retired")
    func verdicts() async throws {
        try await TestDatabase.with { database in
            let id = try await Self.leaveOpen(database)
            try await withExecutor(database, version: "v2", register: Self.code(["a"], finishes: true)) { executor in
                let client = executor.client
                let versions = try await client.versions()
                #expect(versions.map(\.name) == ["v2", "v1"])
                #expect(versions.map(\.verdict) == [.serving, .stranded])
                #expect(versions[1].enqueued == 1)
                await #expect(throws: HoldfastError.self) { try await client.retire("v1") }
                await #expect(throws: HoldfastError.self) { try await client.retire("v2") }
                await #expect(throws: HoldfastError.self) { try await client.makeLatest("v9") }
                // The old version comes back to finish its work, without becoming the latest.
                try await withExecutor(database, version: "v1", register: Self.code(["a", "b"], finishes: true)) {
                    old in
                    let handle = try await old.client.retrieve(id, as: [String].self)
                    let taken = try await handle.result()
                    #expect(taken == ["a", "b"])
                    let verdicts = try await client.versions().map(\.verdict)
                    #expect(verdicts == [.serving, .safeToDelete])
                    try await client.makeLatest("v1")
                    #expect(try await client.versions().first?.name == "v1")
                    try await client.makeLatest("v2")
                }
                try await client.retire("v1")
                #expect(try await client.versions().map(\.name) == ["v2"])
            }
        }
    }

    @Test("that were retired and start once more neither become the latest nor change the queues")
    func retired() async throws {
        try await TestDatabase.with { database in
            @Sendable func run(
                _ version: String,
                limit: Int,
                _ body: @Sendable (HoldfastClient) async throws -> Void
            ) async throws {
                try await withExecutor(
                    database,
                    version: version,
                    queues: [Queue("q", workerConcurrency: limit)],
                    register: Self.code([], finishes: true)
                ) { try await body($0.client) }
            }
            try await run("v1", limit: 1) { _ in }
            try await run("v2", limit: 2) { client in
                try await client.retire("v1")
                #expect(try await client.versions().map(\.name) == ["v2"])
                try await run("v1", limit: 1) { _ in
                    #expect(try await client.versions().map(\.name) == ["v2", "v1"])
                    let limits = try await database.count("SELECT worker_concurrency FROM {s}.queues WHERE name = 'q'")
                    #expect(limits == 2)
                    try await client.makeLatest("v1")
                }
                // What it was when it was retired last counts.
                try await client.makeLatest("v2")
                try await client.retire("v1")
                try await run("v1", limit: 1) { _ in
                    let names = try await client.versions().map(\.name)
                    #expect(names == ["v2", "v1"])
                }
            }
        }
    }

    @Test("can be re-pinned; the dry run names the step that differs and changes nothing")
    func repin() async throws {
        try await TestDatabase.with { database in
            let id = try await Self.leaveOpen(database)
            let before = try await database.count("SELECT sum(updated_at)::int8 FROM {s}.workflow_status")
            for (names, divergence) in [(["a", "x"], 2), (["a"], 2), (["x"], 1)] as [([StepName], Int32)] {
                try await withExecutor(database, version: "v\(names)", register: Self.code(names, finishes: true)) {
                    executor in
                    let verdicts = try await executor.client.checkRepin(from: "v1", to: "v\(names)")
                    #expect(verdicts.map(\.workflowID) == [id])
                    #expect(verdicts.map(\.step) == [StepID(divergence)])
                    #expect(verdicts.map(\.isCompatible) == [false])
                }
            }
            #expect(try await database.count("SELECT sum(updated_at)::int8 FROM {s}.workflow_status") == before)
            try await withExecutor(database, version: "v2", register: Self.code(["a", "b", "c"], finishes: true)) {
                executor in
                let verdicts = try await executor.client.checkRepin(from: "v1", to: "v2")
                #expect(verdicts.map(\.isCompatible) == [true])
                #expect(try await executor.client.repin(from: "v1", to: "v2") == 1)
                let handle = try await executor.client.retrieve(id, as: [String].self)
                #expect(try await handle.result() == ["a", "b", "c"])
                await #expect(throws: HoldfastError.self) { try await executor.client.repin(from: "v1", to: "nowhere") }
            }
            #expect(try await database.count("SELECT count(*) FROM {h}.replay_checks") == 0)
        }
    }

    @Test("are re-pinned in batches, past what somebody else has locked")
    func batches() async throws {
        try await TestDatabase.with { database in
            try await Self.leaveOpen(database)
            try await withExecutor(database, version: "v2", register: { _ in }) { executor in
                try await database.query(
                    """
                    INSERT INTO {s}.workflow_status (workflow_uuid, status, name, queue_name, application_name,
                                                     application_version, serialization)
                    SELECT 'many-' || i, CASE WHEN i % 2 = 0 THEN 'ENQUEUED' ELSE 'DELAYED' END, 'versioned', 'nowhere',
                           'test-app', 'v1', 'portable_json' FROM generate_series(1, 2500) i
                    """
                )
                try await database.pool.withTransaction { transaction in
                    _ = try await transaction.execute(
                        PostgresQuery(
                            database.text(
                                "SELECT 1 FROM {s}.workflow_status WHERE workflow_uuid = 'many-1' FOR NO KEY UPDATE"
                            )
                        )
                    )
                    #expect(try await executor.client.repin(from: "v1", to: "v2") == 2500)
                }
                #expect(try await executor.client.repin(from: "v1", to: "v2") == 1)
                let moved = "SELECT count(*) FROM {s}.workflow_status WHERE application_version = 'v2'"
                #expect(try await database.count(moved) == 2501)
            }
        }
    }

    @Test("are not re-pinned to themselves, which would never end")
    func toThemselves() async throws {
        try await TestDatabase.with { database in
            try await Self.leaveOpen(database)
            try await withClient(database) { client in
                let moved = await #expect(throws: HoldfastError.self) { try await client.repin(from: "v1", to: "v1") }
                let checked = await #expect(throws: HoldfastError.self) {
                    try await client.checkRepin(from: "v1", to: "v1")
                }
                for error in [moved, checked] {
                    #expect(error?.code == .invalidArgument)
                    #expect(error?.message == "from and to are both 'v1'; to must name another version")
                }
            }
        }
    }

    @Test("take over what an ended executor of theirs left, and the history says so")
    func repinOfTheDead() async throws {
        try await TestDatabase.with { database in
            let id = try await Self.leaveOpen(database)
            try await database.query(
                """
                UPDATE {s}.workflow_status w
                   SET status = 'PENDING', executor_id = e.executor_id, owner_xid = e.incarnation || '-1-x'
                  FROM {h}.executors e
                """
            )
            try await withExecutor(database, version: "v2", register: Self.code(["a", "b"], finishes: true)) {
                executor in
                let gone = try #require(try await executor.client.fleet().first { $0.applicationVersion == "v1" })
                #expect(try await executor.client.repin(from: "v1", to: "v2") == 1)
                _ = try await executor.client.retrieve(id, as: [String].self).result()
                let takeovers = try await executor.client.takeovers(of: id)
                #expect(takeovers.map(\.from) == [gone.executorID])
                #expect(takeovers.map(\.applicationVersion) == ["v1"])
                #expect(
                    takeovers.map { "\($0.by) \($0.reason) \($0.strikes) \($0.decision)" }
                        == ["operator repinned 0 requeued"]
                )
            }
        }
    }

    @Test("a dry run lists what it cannot read, because a re-pinning moves that too")
    func foreignFormat() async throws {
        try await TestDatabase.with { database in
            let id = try await Self.leaveOpen(database)
            try await database.query(
                """
                INSERT INTO {s}.workflow_status (workflow_uuid, status, name, queue_name, application_name,
                                                 application_version, serialization)
                VALUES ('pickled', 'ENQUEUED', 'versioned', 'work', 'test-app', 'v1', 'py_pickle')
                """
            )
            try await withExecutor(database, version: "v2", register: Self.code(["a", "b"], finishes: true)) {
                executor in
                let verdicts = try await executor.client.checkRepin(from: "v1", to: "v2")
                let byID = Dictionary(uniqueKeysWithValues: verdicts.map { ($0.workflowID, $0) })
                #expect(Set(byID.keys) == [id, "pickled"])
                #expect(byID[id]?.isCompared == true)
                #expect(byID[id]?.isCompatible == true)
                #expect(byID["pickled"]?.isCompared == false)
                #expect(byID["pickled"]?.isCompatible == false)
                #expect(byID["pickled"]?.detail?.contains("py_pickle") == true)
                #expect(try await executor.client.repin(from: "v1", to: "v2") == 2)
            }
        }
    }

    @Test("fit a record in which a parallel step is missing that had not ended yet")
    func parallel() async throws {
        let door = Door()
        defer { door.open() }
        func code(_ registry: inout WorkflowRegistry) throws {
            try registry.register(Self.workflow) { _, context in
                let first = try context.startStep("started") { _ in
                    try await door.pass()
                    return true
                }
                let mapped = try await context.map([1, 2, 3], step: "mapped") { item, _ in
                    if item == 2 { try await door.pass() }
                    return "\(item)"
                }
                _ = try await first.value
                return mapped
            }
        }
        try await TestDatabase.with { database in
            try await withExecutor(
                database,
                version: "v1",
                configure: { $0.shutdownGracePeriod = .zero },
                register: code
            ) {
                executor in
                _ = try await executor.client.start(Self.workflow, Nothing())
                try await database.until("SELECT count(*) FROM {s}.operation_outputs", is: 2)
            }
            try await withExecutor(database, version: "v2", register: code) { executor in
                let verdicts = try await executor.client.checkRepin(from: "v1", to: "v2")
                #expect(verdicts.map(\.isCompatible) == [true], "\(verdicts)")
            }
        }
    }
}
