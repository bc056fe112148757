// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

/// Executors share the requests, and code that hangs is left behind.
@Suite("A dry run of a re-pinning", .timeLimit(.minutes(5)))
struct DryRunTests {
    private static let hangs = WorkflowReference<Nothing, Nothing>("hangs")
    private static let plain = WorkflowReference<Nothing, Nothing>("plain")

    /// Workflows of version v1 without a record.
    private static func enqueue(_ count: Int, _ name: String, in database: TestDatabase) async throws {
        try await database.query(
            """
            SELECT {s}.enqueue_workflow('\(name)', 'nowhere', workflow_id => '\(name)-' || i,
                                        application_name => 'test-app', app_version => 'v1')
              FROM generate_series(1, \(count)) i
            """
        )
    }

    private static func code(_ door: Door) -> (inout WorkflowRegistry) throws -> Void {
        { registry in
            try registry.register(Self.plain) { _, _ in Nothing() }
            try registry.register(Self.hangs) { _, _ in
                await door.passStubbornly()
                return Nothing()
            }
        }
    }

    @Test("answers for code that hangs, which delays neither the others nor a shutdown")
    func hanging() async throws {
        let door = Door()
        defer { door.open() }
        try await TestDatabase.with { database in
            try await Self.enqueue(1, "hangs", in: database)
            try await Self.enqueue(30, "plain", in: database)
            let started = ContinuousClock.now
            try await withExecutor(
                database,
                version: "v2",
                configure: {
                    $0.replayCheckLimit = .seconds(2)
                    $0.shutdownGracePeriod = .seconds(300)
                },
                register: Self.code(door)
            ) { executor in
                let verdicts = try await executor.client.checkRepin(from: "v1", to: "v2")
                #expect(verdicts.count == 31)
                let failed = verdicts.filter { !$0.isCompared }
                #expect(failed.map(\.workflowID) == ["hangs-1"])
                #expect(failed.first?.detail?.hasPrefix("it took longer than 2") == true)
                #expect(verdicts.count { $0.isCompatible } == 30)
            }
            // One that has not come to its limit is not waited for either.
            try await withExecutor(
                database,
                version: "v2",
                configure: {
                    $0.replayCheckLimit = .seconds(300)
                    $0.shutdownGracePeriod = .seconds(300)
                },
                register: Self.code(door)
            ) { executor in
                let check = Task { try await executor.client.checkRepin(from: "v1", to: "v2") }
                try await database.until(
                    "SELECT count(*) FROM {h}.replay_checks WHERE checked_by IS NOT NULL AND verdict IS NULL",
                    is: 1
                )
                check.cancel()
            }
            #expect(ContinuousClock.now - started < .seconds(120))
        }
    }

    @Test("is shared by the executors of the version; what a drained or ended one took is taken over")
    func shared() async throws {
        let door = Door()
        defer { door.open() }
        try await TestDatabase.with { database in
            try await Self.enqueue(1, "hangs", in: database)
            try await Self.enqueue(40, "plain", in: database)
            try await withExecutor(
                database,
                version: "v2",
                id: "first",
                configure: { $0.replayCheckLimit = .seconds(300) },
                register: Self.code(door)
            ) { first in
                let check = Task { try await first.client.checkRepin(from: "v1", to: "v2") }
                // The first executor hangs with the record that it has taken.
                try await database.until(
                    "SELECT count(*) FROM {h}.replay_checks WHERE checked_by = 'first' AND verdict IS NULL",
                    is: 1
                )
                try await withExecutor(
                    database,
                    version: "v2",
                    id: "second",
                    configure: { $0.replayCheckLimit = .seconds(2) },
                    register: Self.code(door)
                ) { second in
                    // Of a version without work, only to have the second executor look.
                    _ = try await second.client.checkRepin(from: "nothing", to: "v2")
                    try await database.until(
                        "SELECT count(*) FROM {h}.replay_checks WHERE verdict IS NULL",
                        is: 1
                    )
                    try await second.client.drain(["first"])
                    _ = try await second.client.checkRepin(from: "nothing", to: "v2")
                    let answers = try await check.value
                    #expect(answers.count { $0.isCompatible } == 40)
                    #expect(answers.filter { !$0.isCompared }.map(\.workflowID) == ["hangs-1"])
                }
            }
        }
    }

    @Test("is not begun when nobody would answer, and is over when its client is gone")
    func nobody() async throws {
        try await TestDatabase.with { database in
            try await Self.enqueue(1, "plain", in: database)
            try await withExecutor(database, version: "v2", id: "one", register: Self.code(Door())) { executor in
                // Its client was ended before it could remove it.
                try await database.query(
                    """
                    INSERT INTO {h}.replay_checks (request_id, workflow_uuid, application_name, application_version, requested_at)
                    VALUES ('old', 'plain-1', 'test-app', 'v2', now() - interval '4 minutes')
                    """
                )
                #expect(try await executor.client.checkRepin(from: "v1", to: "v2").map(\.isCompatible) == [true])
                #expect(try await database.count("SELECT count(*) FROM {h}.replay_checks WHERE verdict IS NULL") == 1)
                try await executor.client.drain(["one"])
                let text = await failure { _ = try await executor.client.checkRepin(from: "v1", to: "v2") }
                #expect(text.contains("every executor of version 'v2' is draining"), "\(text)")
            }
        }
    }
}
