// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Testing

/// The built tool, run as its users run it.
struct Tool: Sendable {
    struct Answer: Sendable {
        var status: Int32
        var output: String
        var complaint: String

        func decoded<T: Decodable>(_ type: T.Type = T.self) throws -> T {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .custom { decoder in
                let text = try decoder.singleValueContainer().decode(String.self)
                return try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
            }
            return try decoder.decode(T.self, from: Data(self.output.utf8))
        }

        /// The lines of a table, as words.
        var rows: [[String]] {
            self.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        }
    }

    /// What the tool finds in its environment besides what every process needs.
    var environment: [String: String]
    /// What every command gets.
    var options: [String] = []

    func run(_ arguments: [String], interruptAfter delay: Duration? = nil) async throws -> Answer {
        // What is in the environment of the tests must not reach the tool: PGHOST, NO_COLOR and so on.
        let path = ProcessInfo.processInfo.environment.filter { ["PATH", "LD_LIBRARY_PATH", "HOME"].contains($0.key) }
        let environment = path.merging(self.environment) { $1 }
        let words = arguments + self.options
        return try await withCheckedThrowingContinuation { continuation in
            // Waiting blocks, and the threads of Swift's own pool are few.
            Thread.detachNewThread {
                continuation.resume(with: Result { try Self.wait(words, environment, delay) })
            }
        }
    }

    private static func wait(_ words: [String], _ environment: [String: String], _ delay: Duration?) throws -> Answer {
        // Files and not pipes, which would have to be emptied while the tool runs.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("holdfast-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ["output", "complaint"].map { folder.appendingPathComponent($0) }
        for file in files { try Data().write(to: file) }

        let process = Process()
        process.executableURL = Self.executable
        process.arguments = words
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        if let delay {
            Thread.sleep(forTimeInterval: delay / .seconds(1))
            process.interrupt()
        }
        process.waitUntilExit()
        return Answer(
            status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
            output: try String(contentsOf: files[0], encoding: .utf8),
            complaint: try String(contentsOf: files[1], encoding: .utf8)
        )
    }

    private static let executable: URL = {
        // The test bundle and the executables are built into the same folder.
        let bundle = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        let beside = bundle.appendingPathComponent("holdfast")
        if FileManager.default.fileExists(atPath: beside.path) { return beside }
        return Bundle.main.bundleURL.appendingPathComponent("holdfast")
    }()
}
