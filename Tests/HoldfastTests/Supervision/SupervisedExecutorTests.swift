// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import ServiceLifecycle
import TestSupport
import Testing

@testable import Holdfast

@Suite("An executor under supervision", .timeLimit(.minutes(5)))
struct SupervisedExecutorTests {
    /// Runs the executor supervised for the length of `body`.
    private static func supervise(
        _ executor: HoldfastExecutor,
        _ supervisor: Supervisor,
        _ body: @Sendable (ServiceGroup) async throws -> Void
    ) async throws {
        let service = SupervisedExecutor(executor, reportingTo: [supervisor], logger: TestDatabase.logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                logger: TestDatabase.logger
            )
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let result: Result<Void, any Error>
            do { result = .success(try await body(group)) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }

    @Test(
        "tells systemd when it is ready, that it lives, and when it stops",
        arguments: ["/tmp/holdfast-", "@holdfast-"]
    )
    func systemd(prefix: String) async throws {
        let socket = try NotifySocket("\(prefix)\(UUID())")
        defer { unlink(socket.address) }
        let environment = ["NOTIFY_SOCKET": socket.address, "WATCHDOG_USEC": "300000"]
        try await TestDatabase.with { database in
            let executor = try makeExecutor(database)
            let supervisor = Supervisor.systemd(environment: environment, processID: 1)
            try await Self.supervise(executor, supervisor) { group in
                #expect(try await socket.next().first == "EXTEND_TIMEOUT_USEC=60000000")
                let ready = try await socket.until("READY=1")
                #expect(ready.contains("STATUS=serving, 0 of 256 slots in use"))
                #expect(executor.health.isReady)
                // Three times as often as asked, so at this rate it does not wait for its usual interval.
                for _ in 0..<3 { _ = try await socket.until("WATCHDOG=1") }
                await group.triggerGracefulShutdown()
                let stopping = try await socket.until("STOPPING=1")
                #expect(!stopping.contains("READY=1"))
            }
            #expect(executor.health.phase == .ended)
        }
    }

    @Test("hears at once that an operator wants it drained")
    func drained() async throws {
        let socket = try NotifySocket("@holdfast-\(UUID())")
        try await TestDatabase.with { database in
            let executor = try makeExecutor(database, id: "one", configure: { $0.heartbeat = .milliseconds(50) })
            let supervisor = Supervisor.systemd(environment: ["NOTIFY_SOCKET": socket.address], processID: 1)
            try await Self.supervise(executor, supervisor) { _ in
                _ = try await socket.until("READY=1")
                _ = try await executor.client.drain(["one"])
                _ = try await socket.until("STATUS=drained on request, claims nothing more")
                #expect(!executor.health.isReady)
                #expect(!executor.health.isStuck)
            }
        }
    }

    @Test("lives on, but is not ready, while Postgres is down; and says so before it has ever reached it")
    func outage() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let has: @Sendable (String) -> Bool = { FileManager.default.fileExists(atPath: "\(path)/\($0)") }
        try await TemporaryPostgres.withServer { server in
            try await TestDatabase.with(url: server.string()) { database in
                try await server.stop()
                let executor = try makeExecutor(
                    database,
                    configure: {
                        $0.heartbeat = .milliseconds(50)
                        $0.selfStop = .milliseconds(500)
                        $0.lease = .seconds(1)
                    }
                )
                try await Self.supervise(executor, .folder(path)) { _ in
                    try await until("it lives before it has started") { has("alive") }
                    #expect(!has("ready"))
                    #expect(executor.health.phase == .starting)
                    try await server.start()
                    try await until("it is ready") { has("ready") }
                    try await server.stop()
                    try await until("it is not ready") { !has("ready") }
                    #expect(executor.health.phase == .serving)
                    #expect(!executor.health.holdsLease)
                    try FileManager.default.removeItem(atPath: "\(path)/alive")
                    try await until("it still lives") { has("alive") }
                    try await server.start()
                    try await until("it is ready again") { has("ready") }
                }
                #expect(!has("alive") && !has("ready"))
            }
        }
    }
}
