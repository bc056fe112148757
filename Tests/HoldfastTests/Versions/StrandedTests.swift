// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("Work that no live executor claims", .timeLimit(.minutes(5)))
struct StrandedTests {
    private static let noop = WorkflowReference<Nothing, Nothing>("noop")

    private static func knowingNoop(_ registry: inout WorkflowRegistry) throws {
        try registry.register(Self.noop) { _, _ in Nothing() }
    }

    private static func enqueue(
        _ client: HoldfastClient,
        _ id: WorkflowID,
        version: String? = nil,
        delay: Duration? = nil
    ) async throws {
        _ = try await client.enqueue(
            Self.noop,
            Nothing(),
            on: "work",
            options: .init(id: id, delay: delay, applicationVersion: version)
        )
    }

    @Test("is that of versions without executors, and without a version that of the latest")
    func versions() async throws {
        try await TestDatabase.with { database in
            for version in ["v1", "v2"] {
                try await withExecutor(database, version: version, register: { _ in }) { _ in }
            }
            try await withClient(database) { client in
                #expect(try await client.versions().map(\.verdict) == [.idle, .safeToDelete])
                try await Self.enqueue(client, "old", version: "v1")
                try await Self.enqueue(client, "free")
                try await Self.enqueue(client, "later", delay: .seconds(3600))
                let versions = try await client.versions()
                #expect(versions.map(\.name) == ["v2", "v1"])
                #expect(versions.map(\.verdict) == [.stranded, .stranded])
                #expect(versions.map(\.open) == [2, 1])
                #expect(versions.map(\.unversioned) == [2, 0])
                let stranded = try await client.strandedWork()
                #expect(stranded.map(\.version) == ["v1", "v2"])
                #expect(stranded.map(\.workflows) == [1, 2])
                // What belongs to the latest version only as such goes with it, and is not re-pinned.
                #expect(try await client.repin(from: "v2", to: "v1") == 0)
                try await client.makeLatest("v1")
                #expect(try await client.versions().map(\.open) == [3, 0])
                #expect(try await client.strandedWork().map(\.workflows) == [3])
            }
            try await withExecutor(database, version: "v1", queues: [Queue("work")], register: Self.knowingNoop) {
                executor in
                try await database.until("SELECT count(*) FROM {s}.workflow_status WHERE status = 'SUCCESS'", is: 2)
                #expect(try await executor.client.strandedWork().isEmpty)
                #expect(try await executor.client.versions().map(\.verdict) == [.serving, .safeToDelete])
            }
        }
    }

    @Test("is that of applications without live executors, for whoever asks, but not of strangers")
    func applications() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, application: "gone", version: "g1", register: { _ in }) { _ in }
            try await database.query("UPDATE {h}.executors SET ended_at = ended_at - interval '2 hours'")
            try await withExecutor(database, register: { _ in }) { executor in
                let rows = [
                    ("a", "'gone'", "'g1'"), ("b", "'gone'", "NULL"), ("c", "'stranger'", "'s1'"),
                    ("d", "'test-app'", "'v0'"),
                    ("e", "NULL", "NULL"),
                ]
                for (id, application, version) in rows {
                    try await database.query(
                        """
                        SELECT {s}.enqueue_workflow('noop', 'nowhere', workflow_id => '\(id)',
                                                    application_name => \(application), app_version => \(version))
                        """
                    )
                }
                let everybody = try HoldfastClient(database: database.configuration, logger: TestDatabase.logger)
                let all = try await everybody.strandedWork()
                await everybody.close()
                #expect(all.map(\.applicationName) == ["gone", "test-app"])
                #expect(all.map(\.version) == ["g1", "v0"])
                #expect(all.map(\.workflows) == [2, 1])
                let own = try await executor.client.strandedWork()
                #expect(own.map(\.applicationName) == ["test-app"])
            }
            // With the last executor goes whoever could claim what belongs to nobody.
            try await withClient(database) { client in
                let own = try await client.strandedWork()
                #expect(own.map(\.applicationName) == ["test-app", nil])
                #expect(own.map(\.version) == ["v0", nil])
            }
        }
    }

    @Test("is also that of a version whose executors were all drained")
    func drained() async throws {
        try await TestDatabase.with { database in
            try await withExecutor(database, id: "one", queues: [Queue("work")], register: Self.knowingNoop) {
                executor in
                #expect(try await executor.client.drain(["one"]) == ["one"])
                try await database.until("SELECT count(*) FROM {h}.executors WHERE state = 'draining'", is: 1)
                try await Self.enqueue(executor.client, "waits", version: "v1")
                let version = try #require(try await executor.client.versions().first)
                #expect(version.verdict == .stranded)
                #expect([version.liveExecutors, version.drainingExecutors] == [1, 1])
                #expect(try await executor.client.strandedWork().map(\.workflows) == [1])
            }
        }
    }

    @Test("an executor whose lease has expired counts nowhere, even when nobody has declared it dead")
    func expired() async throws {
        try await TestDatabase.with { database in
            for version in ["v1", "v2"] {
                try await withExecutor(database, version: version, register: { _ in }) { _ in }
            }
            try await withClient(database) { client in
                for (interval, isRetired) in [("1 hour", false), ("-1 second", true)] {
                    try await database.query(
                        """
                        UPDATE {h}.executors
                           SET state = 'active', ended_at = NULL, lease_expires_at = now() + interval '\(interval)'
                         WHERE application_version = 'v1'
                        """
                    )
                    #expect(try await client.versions().last?.liveExecutors == (isRetired ? 0 : 1))
                    if isRetired {
                        try await client.retire("v1")
                    } else {
                        let error = await #expect(throws: HoldfastError.self) { try await client.retire("v1") }
                        #expect(
                            error?.message
                                == "version 'v1' was not retired: 1 executor of it is alive; stop it first"
                        )
                    }
                }
                #expect(try await client.versions().map(\.name) == ["v2"])
            }
        }
    }
}
