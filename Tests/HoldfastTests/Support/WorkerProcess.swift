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

    /// In milliseconds.
    struct Timing: Sendable {
        var heartbeat = 200
        var selfStop = 1200
        var lease = 2000
        var grace = 5000

        /// Short enough to wait for its end, long enough that a busy machine does not end it.
        static let shortLease = Timing(selfStop: 3000, lease: 4000)
        /// A lease that expires in no test: what is seen in time is seen by other means.
        static let longLease = Timing(selfStop: 500_000, lease: 600_000)
    }

    struct Options: Sendable {
        var version = "v1"
        var timing = Timing()
        var quarantineAfter = 5
        var concurrency = 64
        var queueConcurrency: Int?
        /// Where it finds the database; `nil`: where the test does.
        var url: String?
        /// Besides the test's own.
        var environment: [String: String] = [:]
    }

    init(_ id: String, _ database: TestDatabase, _ folder: WorkerFolder, _ options: Options = Options()) throws {
        self.executorID = id
        let timing = options.timing
        var arguments: [String: Any] = [
            "url": options.url ?? database.configuration.url, "schema": database.configuration.schema,
            "ownSchema": database.configuration.ownSchema, "application": "test-app", "version": options.version,
            "executorID": id, "folder": folder.path, "heartbeatMilliseconds": timing.heartbeat,
            "selfStopMilliseconds": timing.selfStop, "leaseMilliseconds": timing.lease,
            "graceMilliseconds": timing.grace, "quarantineAfter": options.quarantineAfter,
            "concurrency": options.concurrency,
        ]
        if options.url == nil {
            if database.configuration.isPooled { arguments["isPooled"] = true }
            if let url = database.configuration.directURL { arguments["directURL"] = url }
        }
        if let limit = options.queueConcurrency { arguments["queueConcurrency"] = limit }
        let json = try JSONSerialization.data(withJSONObject: arguments)
        self.process.executableURL = Self.executable
        self.process.arguments = [String(decoding: json, as: UTF8.self)]
        self.process.environment = ProcessInfo.processInfo.environment.merging(options.environment) { $1 }
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

    /// Kills the process, also a frozen one, and waits for its end. Does nothing when it has ended.
    func killNow() async {
        guard self.process.isRunning else { return }
        self.signal(SIGKILL)
        await self.ended()
    }

    /// Waits for the end of the process. One that does not end is killed; the limit is for hangs only.
    ///
    /// - Returns: Its exit status, or the signal that ended it.
    @discardableResult
    func ended(within limit: Duration = .seconds(60)) async -> Int32 {
        let end = ContinuousClock.now.advanced(by: limit)
        while self.process.isRunning {
            if ContinuousClock.now > end {
                Issue.record("executor '\(self.executorID)' does not end")
                self.signal(SIGKILL)
                break
            }
            try? await Task.sleep(for: .milliseconds(2))
        }
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            Thread.detachNewThread {
                self.process.waitUntilExit()
                waiter.resume()
            }
        }
        return self.process.terminationStatus
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
