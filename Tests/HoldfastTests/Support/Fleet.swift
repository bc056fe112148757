// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Synchronization
import TestSupport
import Testing

/// The plan of the test worker's workflow `effects`.
struct Plan: Codable, Sendable {
    var steps: Int
    var gates: [Int] = []
}

let effects = WorkflowReference<Plan, Int>("effects")
let sleepy = WorkflowReference<Int, Int>("sleepy")
let stubborn = WorkflowReference<Nothing, Nothing>("stubborn")
let blocker = WorkflowReference<Nothing, Nothing>("blocker")
let wallClock = WorkflowReference<Nothing, Double>("wall-clock")
let noop = WorkflowReference<Nothing, Nothing>("noop")

/// A client of the test workers' application.
func withClient<R>(_ database: TestDatabase, _ body: (HoldfastClient) async throws -> R) async throws -> R {
    let client = try HoldfastClient(
        database: database.configuration,
        applicationName: "test-app",
        logger: TestDatabase.logger
    )
    let result: Result<R, any Error>
    do { result = .success(try await body(client)) } catch { result = .failure(error) }
    await client.close()
    return try result.get()
}

/// Executor processes on a database of their own, with a client and a folder for their effects. Nothing of it is left at the
/// end, whatever happens.
final class Fleet: Sendable {
    let database: TestDatabase
    let folder: WorkerFolder
    let client: HoldfastClient
    private let workers = Mutex<[WorkerProcess]>([])

    private init(_ database: TestDatabase, _ folder: WorkerFolder, _ client: HoldfastClient) {
        self.database = database
        self.folder = folder
        self.client = client
    }

    /// Fleets wait more than they compute; but they keep databases meanwhile, and other tests wait for those.
    private static let turnstile = Turnstile(4)

    static func with<R>(url: String? = nil, _ body: (Fleet) async throws -> R) async throws -> R {
        await self.turnstile.enter()
        let result: Result<R, any Error>
        do { result = .success(try await self.withFleet(url, body)) } catch { result = .failure(error) }
        await self.turnstile.leave()
        return try result.get()
    }

    private static func withFleet<R>(_ url: String?, _ body: (Fleet) async throws -> R) async throws -> R {
        try await TestDatabase.with(url: url) { database in
            try await WorkerFolder.with { folder in
                try await withClient(database) { client in
                    let fleet = Fleet(database, folder, client)
                    let result: Result<R, any Error>
                    do { result = .success(try await body(fleet)) } catch { result = .failure(error) }
                    for worker in fleet.workers.withLock({ $0 }) { await worker.killNow() }
                    return try result.get()
                }
            }
        }
    }

    /// Why a killed executor is declared dead: behind a pooler without a way past it there is no session to watch.
    var reasonOfADeath: String { self.database.hasSession ? "session_lost" : "lease_expired" }

    /// Starts an executor; returns when it claims and runs work and its peers watch its session, or at once if the test is not
    /// to wait for that.
    func start(
        _ id: String,
        version: String = "v1",
        timing: WorkerProcess.Timing = .init(),
        waits: Bool = true,
        _ change: (inout WorkerProcess.Options) -> Void = { _ in }
    ) async throws -> WorkerProcess {
        var options = WorkerProcess.Options(version: version, timing: timing)
        // Without sessions a death is seen by the end of the lease alone.
        if !self.database.hasSession, timing.lease > WorkerProcess.Timing.shortLease.lease {
            options.timing.selfStop = WorkerProcess.Timing.shortLease.selfStop
            options.timing.lease = WorkerProcess.Timing.shortLease.lease
        }
        change(&options)
        let worker = try WorkerProcess(id, self.database, self.folder, options)
        self.workers.withLock { $0.append(worker) }
        guard waits else { return worker }
        try await worker.ready()
        guard self.database.hasSession else { return worker }
        try await until("executor '\(id)' has told of its session") {
            try await self.database.count(
                """
                SELECT count(*) FROM {h}.executors
                 WHERE executor_id = $1 AND state = 'active' AND session_server_epoch IS NOT NULL
                """,
                .text(id)
            ) == 1
        }
        return worker
    }

    /// Runs `body` with a second way to the database, which it can cut.
    func withProxy<R>(_ body: (TCPProxy, _ url: String) async throws -> R) async throws -> R {
        let direct = self.database.configuration.directURL ?? self.database.configuration.url
        let port = try #require(URL(string: direct)?.port)
        return try await TCPProxy.with(to: UInt16(port)) { proxy in
            try await body(proxy, direct.replacing(":\(port)/", with: ":\(proxy.port)/"))
        }
    }

    /// Enqueues the workflow `effects`.
    func enqueue(_ id: WorkflowID, steps: Int, gates: [Int] = []) async throws -> WorkflowHandle<Int> {
        try await self.client.enqueue(effects, Plan(steps: steps, gates: gates), on: "work", options: .init(id: id))
    }

    func enqueue<Input: Encodable & Sendable, Output>(
        _ workflow: WorkflowReference<Input, Output>,
        _ input: Input,
        id: WorkflowID = "w"
    ) async throws -> WorkflowHandle<Output> {
        try await self.client.enqueue(workflow, input, on: "work", options: .init(id: id))
    }

    /// Enqueues workflows `w0`, `w1` … that do nothing but tell that they ran.
    func enqueueMany(_ count: Int, on queue: QueueName = "work") async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<50 {
                group.addTask {
                    for index in stride(from: lane, to: count, by: 50) {
                        _ = try await self.client.enqueue(noop, Nothing(), on: queue, options: .init(id: "w\(index)"))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Waits until so many steps of a workflow are recorded.
    func untilRecorded(_ steps: Int, of id: WorkflowID = "w") async throws {
        try await until("\(steps) steps of '\(id)'") { try await self.client.steps(of: id).count >= steps }
    }

    /// "victim reason decision" of each takeover of a workflow.
    func takeovers(of id: WorkflowID = "w") async throws -> [String] {
        try await self.client.takeovers(of: id).map { "\($0.from) \($0.reason) \($0.decision)" }
    }

    /// "state reason" of each life in a slot, in order.
    func lives(of executorID: String) async throws -> [String] {
        try await self.database.query(
            "SELECT concat_ws(' ', state, end_reason) FROM {h}.executors WHERE executor_id = $1 ORDER BY started_at",
            .text(executorID)
        ).map { try $0.string(0) }
    }

    /// Everything recorded of a workflow.
    func rows(of id: WorkflowID = "w") async throws -> [String] {
        try await self.database.query(
            """
            SELECT concat_ws(' ', function_id, function_name, output, error, completed_at_epoch_ms, retention_timestamp)
              FROM {s}.operation_outputs WHERE workflow_uuid = $1
            UNION ALL SELECT concat_ws(' ', status, completed_at, executor_id, recovery_attempts, updated_at)
              FROM {s}.workflow_status WHERE workflow_uuid = $1
            UNION ALL SELECT concat_ws(' ', output, error) FROM {s}.workflow_output WHERE workflow_uuid = $1
            """,
            .text(id.rawValue)
        ).map { try $0.string(0) }.sorted()
    }
}
