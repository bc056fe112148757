// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

/// A real executor process, started from the `TestWorker` executable.
final class WorkerProcess: @unchecked Sendable {
    // `Process` is not Sendable; it is only started in `init` and signalled by pid afterwards.
    private let process = Process()
    private let output = Pipe()
    let executorID: String

    /// A folder in which workers leave their effects.
    struct Folder: Sendable {
        let path: String

        static func with<R>(_ body: (Folder) async throws -> R) async throws -> R {
            let path = FileManager.default.temporaryDirectory.appendingPathComponent("holdfast-\(UUID().uuidString)")
                .path
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: path) }
            return try await body(Folder(path: path))
        }

        func lines() -> [String] {
            guard let text = try? String(contentsOfFile: "\(self.path)/effects", encoding: .utf8) else { return [] }
            return text.split(separator: "\n").map(String.init)
        }

        /// How often an effect happened, in whichever process.
        func count(_ effect: String) -> Int { self.lines().filter { $0.hasPrefix(effect + " ") }.count }

        func open(_ gate: String) {
            _ = FileManager.default.createFile(atPath: "\(self.path)/open-\(gate)", contents: nil)
        }

        /// Waits until an effect has happened; the limit is for hangs only.
        func until(_ effect: String, happened times: Int = 1) async throws {
            let end = ContinuousClock.now.advanced(by: .seconds(60))
            while self.count(effect) < times {
                guard ContinuousClock.now < end else {
                    Issue.record("'\(effect)' did not happen \(times) times: \(self.lines())")
                    throw CancellationError()
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    struct Timing: Sendable {
        var heartbeat = 200
        var selfStop = 1200
        var lease = 2000
        var grace = 5000
        var quarantineAfter = 5
    }

    init(
        _ id: String,
        _ database: TestDatabase,
        _ folder: Folder,
        version: String = "v1",
        concurrency: Int = 64,
        queueConcurrency: Int? = nil,
        timing: Timing = Timing()
    ) throws {
        self.executorID = id
        var arguments: [String: Any] = [
            "url": database.configuration.url, "schema": database.configuration.schema,
            "ownSchema": database.configuration.ownSchema, "application": "test-app", "version": version,
            "executorID": id, "folder": folder.path, "heartbeatMilliseconds": timing.heartbeat,
            "selfStopMilliseconds": timing.selfStop, "leaseMilliseconds": timing.lease,
            "graceMilliseconds": timing.grace, "quarantineAfter": timing.quarantineAfter, "concurrency": concurrency,
        ]
        if database.configuration.isPooled { arguments["isPooled"] = true }
        if let url = database.configuration.directURL { arguments["directURL"] = url }
        if let queueConcurrency { arguments["queueConcurrency"] = queueConcurrency }
        let json = try JSONSerialization.data(withJSONObject: arguments)
        self.process.executableURL = Self.executable
        self.process.arguments = [String(decoding: json, as: UTF8.self)]
        self.process.standardOutput = self.output
        let log = "\(folder.path)/\(id)-\(UUID().uuidString.prefix(4)).log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        self.process.standardError = FileHandle(forWritingAtPath: log)
        try self.process.run()
    }

    private static let executable: URL = {
        // The test bundle and the executables are built into the same folder.
        let bundle = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        let beside = bundle.appendingPathComponent("TestWorker")
        if FileManager.default.fileExists(atPath: beside.path) { return beside }
        return Bundle.main.bundleURL.appendingPathComponent("TestWorker")
    }()

    var pid: Int32 { self.process.processIdentifier }

    var isRunning: Bool { self.process.isRunning }

    /// Waits until the worker claims and runs work.
    func ready() async throws {
        for try await line in self.output.fileHandleForReading.lines() where line == "READY" { return }
        Issue.record("worker '\(self.executorID)' ended before it was ready")
        throw CancellationError()
    }

    func signal(_ signal: Int32) { kill(self.pid, signal) }

    /// Kills the process and waits for its end.
    func killNow() async {
        self.signal(SIGKILL)
        await self.ended()
    }

    func ended() async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            Thread.detachNewThread {
                self.process.waitUntilExit()
                waiter.resume()
            }
        }
    }

    var exitStatus: Int32 { self.process.terminationStatus }

    /// Runs `body` with workers that are gone afterwards, whatever happens.
    static func with<R>(_ workers: [WorkerProcess], _ body: () async throws -> R) async throws -> R {
        let result: Result<R, any Error>
        do {
            for worker in workers { try await worker.ready() }
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        for worker in workers where worker.process.isRunning {
            worker.signal(SIGKILL)
            worker.signal(SIGCONT)
            await worker.ended()
        }
        return try result.get()
    }
}

extension FileHandle {
    /// The lines of a pipe as they arrive.
    fileprivate func lines() -> AsyncThrowingStream<String, any Error> {
        AsyncThrowingStream { continuation in
            Thread.detachNewThread {
                var rest = ""
                while true {
                    let data = self.availableData
                    if data.isEmpty { break }
                    rest += String(decoding: data, as: UTF8.self)
                    while let end = rest.firstIndex(of: "\n") {
                        continuation.yield(String(rest[..<end]))
                        rest = String(rest[rest.index(after: end)...])
                    }
                }
                continuation.finish()
            }
        }
    }
}
