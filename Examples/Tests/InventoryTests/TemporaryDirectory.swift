// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

@testable import Inventory

/// A directory that is removed at the end.
struct TemporaryDirectory {
    let path: FilePath

    static func with<R>(_ body: (TemporaryDirectory) async throws -> R) async throws -> R {
        let url = FileManager.default.temporaryDirectory.appending(path: "inventory-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        let result: Result<R, any Error>
        do {
            result = .success(try await body(TemporaryDirectory(path: try FilePath(url.path).canonical())))
        } catch {
            result = .failure(error)
        }
        // Not by FileManager, which cannot name every file.
        _ = try Self.run("chmod -R u+rwx \"$0\"; rm -rf \"$0\"", url.path)
        return try result.get()
    }

    /// Makes a file; names need not be UTF-8.
    func write(_ content: some Sequence<UInt8>, to name: [UInt8]) throws {
        let file = self.path.bytes + [UInt8(ascii: "/")] + name
        let descriptor = FilePath(file).withCString { open($0, O_CREAT | O_EXCL | O_WRONLY, 0o644) }
        guard descriptor >= 0 else { throw SystemError.current }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(content))
    }

    func write(_ content: String, to name: String) throws { try self.write(content.utf8, to: Array(name.utf8)) }

    /// Runs a shell in the directory and returns what it prints.
    @discardableResult
    func shell(_ script: String) throws -> [UInt8] {
        try Self.run("cd \"$0\" && \(script)", String(decoding: self.path.bytes, as: UTF8.self))
    }

    private static func run(_ script: String, _ argument: String) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", script, argument]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ShellFailure(script: script) }
        return Array(output)
    }
}

struct ShellFailure: Error {
    let script: String
}
