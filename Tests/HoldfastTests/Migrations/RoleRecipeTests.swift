// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import HoldfastPostgres
import Testing

@testable import Holdfast

/// The SQL in `deploy/` does what its comments promise.
@Suite(.timeLimit(.minutes(5))) struct RoleRecipeTests {
    private static func file(_ path: String) throws -> String {
        let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: repository.appending(path: "deploy/\(path)"), encoding: .utf8)
    }

    @Test func theScalerReadsTheViewAndNothingElse() async throws {
        let names = try SchemaNames(dbos: "work \"$fn$\"", holdfast: "Own'Schema")
        try await ScratchDatabase.with { database in
            _ = try await database.migrator(names: names).migrate()
            try await database.execute(
                "INSERT INTO \(names.dbos).workflow_status (workflow_uuid, status, name) VALUES ('w', 'ENQUEUED', 'n')"
            )
            let role = ScratchDatabase.uniqueName("holdfast_scaler")
            let recipe = try Self.file("autoscaling-role.sql").replacing("holdfast_scaler", with: role)
                .replacing("holdfast.", with: "\(names.holdfast).")
                .replacing("SCHEMA holdfast", with: "SCHEMA \(names.holdfast)")
            try await database.connection.executeScript(recipe)
            try await database.execute("SET ROLE \(role)")
            let row = try await database.execute("SELECT desired_executors FROM \(names.holdfast).autoscaling")[0]
            #expect(try row.int(0) == 1)
            for sql in [
                "SELECT 1 FROM \(names.dbos).workflow_status", "SELECT 1 FROM \(names.holdfast).executors",
                "DELETE FROM \(names.holdfast).takeovers",
            ] {
                let error = await #expect(throws: PostgresError.self) { try await database.execute(sql) }
                #expect(error?.sqlState == "42501", "\(sql)")
            }
            try await database.connection.executeScript("RESET ROLE; DROP OWNED BY \(role); DROP ROLE \(role)")
        }
    }

    /// What KEDA asks: how many executors of one version, and of none as long as no version has ever run.
    @Test func theScalersQueryAnswersForEveryVersion() async throws {
        let line = try Self.file("kubernetes/scaling.yaml").split(separator: "\n").first { $0.contains(" query: ") }
        let text = try #require(line?.split(separator: "\"").dropFirst().first)
        try await ScratchDatabase.with { database in
            _ = try await database.migrator().migrate()
            func asked(_ version: String) async throws -> Int {
                let query = text.replacing("APPLICATION", with: "shop").replacing("VERSION", with: version)
                return try await database.execute(String(query))[0].int(0)
            }
            #expect(try await asked("v1") == 0)
            let insert = "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, application_name) VALUES "
            try await database.execute("\(insert) ('w', 'ENQUEUED', 'n', 'shop')")
            #expect(try await asked("v1") == 1)
            try await database.execute(
                """
                INSERT INTO dbos.application_versions (version_id, version_name, application_name)
                VALUES ('1', 'v1', 'shop')
                """
            )
            #expect(try await asked("v1") == 1)
            #expect(try await asked("v2") == 0)
        }
    }

    @Test func anExecutorNeedsNoMoreThanItsRole() async throws {
        let workflow = WorkflowReference<Int, Int>("w")
        try await TestDatabase.with { database in
            _ = try await database.configuration.migrator(logger: TestDatabase.logger).migrate()
            let (dbos, holdfast) = (database.configuration.schema, database.configuration.ownSchema)
            let role = ScratchDatabase.uniqueName("holdfast_executor")
            let recipe = try Self.file("executor-role.sql").replacing("holdfast_executor", with: role)
                .replacing("SCHEMA dbos, holdfast", with: "SCHEMA \(dbos), \(holdfast)")
            for statement in recipe.split(separator: ";\n") { try await database.query(String(statement)) }
            try await database.query("CREATE TABLE {h}.later (id INT4)")
            // As after a restore: the executor draws the sequence up.
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity, lease_ms,
                   renewed_at, lease_expires_at, lock_key, ended_at, reclaimed_at, began)
                SELECT 'before', 'before', 'test-app', 'v1', 'stopped', 'host', 1, 1, 1000, now(), now(), 0,
                       now() - interval '2 hours', now(), last_value + 1000 FROM {h}.beginnings
                """
            )
            var url = try #require(URLComponents(string: database.configuration.url))
            url.user = role
            let its = try #require(url.string)
            let inItsName = database.configuration.replacing(url: its)
            try await withExecutor(
                database,
                queues: [Queue("q")],
                configure: {
                    $0.database = inItsName
                    $0.migrates = false
                }
            ) { registry in
                try registry.register(workflow) { number, context in
                    try await context.step("add") { _ in number + 1 }
                }
            } _: { executor in
                let handle = try await executor.client.enqueue(workflow, 1, on: "q")
                #expect(try await handle.result() == 2)
                #expect(try await executor.client.fleet().count == 1)
            }
            #expect(try await database.count("SELECT has_table_privilege('\(role)', '{h}.later', 'INSERT')::int") == 1)
            #expect(
                try await database.count("SELECT has_schema_privilege('\(role)', '{h}', 'CREATE')::int") == 0
            )
            try await database.query("DROP OWNED BY \(role)")
            try await database.query("DROP ROLE \(role)")
            try await database.query("DROP TABLE {h}.later")
        }
    }
}

extension DatabaseConfiguration {
    fileprivate func replacing(url: String) -> DatabaseConfiguration {
        var copy = self
        copy.url = url
        return copy
    }
}
