// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Testing

/// A folder in which workers leave their effects and their logs.
struct WorkerFolder: Sendable {
    let path: String

    static func with<R>(_ body: (WorkerFolder) async throws -> R) async throws -> R {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("holdfast-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(WorkerFolder(path: path))
    }

    /// The effects of all processes, in their order.
    func lines() -> [String] {
        guard let text = try? String(contentsOfFile: "\(self.path)/effects", encoding: .utf8) else { return [] }
        return text.split(separator: "\n").map { $0.split(separator: " ").dropLast().joined(separator: " ") }
    }

    /// How often an effect happened, in whichever process.
    func count(_ effect: String) -> Int { self.lines().count { $0.hasPrefix(effect + " ") } }

    func open(_ gate: String) {
        _ = FileManager.default.createFile(atPath: "\(self.path)/open-\(gate)", contents: nil)
    }

    /// Waits until an effect has happened; the limit is for hangs only.
    func until(_ effect: String, happened times: Int = 1) async throws {
        try await HoldfastTests.until("'\(effect)' \(times) times in \(self.lines())") { self.count(effect) >= times }
    }

    /// What the processes of an executor logged.
    func log(of executorID: String) -> String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.path)) ?? []
        return names.filter { $0.hasPrefix("\(executorID)-") && $0.hasSuffix(".log") }.sorted()
            .map { (try? String(contentsOfFile: "\(self.path)/\($0)", encoding: .utf8)) ?? "" }.joined()
    }
}
