// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Logging
import ServiceLifecycle
import Testing

@testable import Inventory

@Suite("A scan", .timeLimit(.minutes(5)))
struct ScanTests {
    /// What `sha256sum` says of every regular file below the directory.
    static let sha256sum = "find \"$PWD\" -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum"

    static let oddNames: [[UInt8]] = [
        "space in it", "new\nline", "back\\slash", "carriage\rreturn", "tab\t", "\"quote'", "-dash", "*", " ", "%41",
        "e\u{301}", "\u{e9}", "\u{1F9ED}",
    ].map { Array($0.utf8) }

    @Test("finds what sha256sum finds, whatever the files are called")
    func oddNames() async throws {
        try await TemporaryDirectory.with { directory in
            for name in Self.oddNames { try directory.write("the file \(name)\n".utf8, to: name) }
            #if os(Linux)
            try directory.write("neither UTF-8 nor text".utf8, to: [0x66, 0xff, 0xfe, 0x0a])
            #endif
            try directory.write("", to: "empty")
            try directory.write([UInt8](repeating: 0x0a, count: 600_000), to: Array("more than one chunk".utf8))
            try directory.shell("mkdir -p deep/er; cp empty deep/er; mkfifo pipe; ln -s . loop; ln -s empty link")
            let report = try await Self.scan(directory)
            #expect(report.sha256sum == (try directory.shell(Self.sha256sum)))
            #expect(report.problems.isEmpty)
            #expect(report.fileCount == report.files.count)
            #expect(report.lines == report.files.reduce(0) { $0 + $1.lines })
            #expect(report.files.first { $0.bytes == 600_000 }?.lines == 600_000)
        }
    }

    @Test("reports what it may not read", .disabled(if: getuid() == 0, "root may read everything"))
    func unreadable() async throws {
        try await TemporaryDirectory.with { directory in
            try directory.write("a", to: "readable")
            try directory.write("b", to: "secret")
            try directory.shell("mkdir closed && chmod 0 closed secret")
            let report = try await Self.scan(directory)
            #expect(report.files.count == 1)
            #expect(report.problems.map(\.reason) == ["Permission denied", "Permission denied"])
        }
    }

    @Test("of an empty directory finds nothing")
    func empty() async throws {
        try await TemporaryDirectory.with { directory in
            let report = try await Self.scan(directory)
            #expect(report.fileCount == 0)
        }
    }

    @Test("with a limit takes the first files and says how many it left out")
    func limit() async throws {
        try await TemporaryDirectory.with { directory in
            for name in ["c", "a", "b"] { try directory.write(name, to: name) }
            let report = try await Self.scan(directory, limit: 2)
            #expect(report.files.map(\.path.bytes.last) == [UInt8(ascii: "a"), UInt8(ascii: "b")])
            #expect(report.leftOut == 1)
        }
    }

    @Test("of a directory that does not exist fails and says why")
    func missing() async throws {
        try await TemporaryDirectory.with { directory in
            let missing = TemporaryDirectory(path: FilePath(directory.path.bytes + Array("/missing".utf8)))
            let failure = await #expect(throws: WorkflowFailure.self) { try await Self.scan(missing) }
            #expect(failure?.description.contains("No such file or directory") == true)
        }
    }

    /// Scans with an executor in this process, as `inventory work` runs it.
    static func scan(_ directory: TemporaryDirectory, limit: Int? = nil) async throws -> ScanReport {
        let environment = ProcessInfo.processInfo.environment
        let url = try #require(
            environment["HOLDFAST_TEST_DATABASE_URL"],
            "HOLDFAST_TEST_DATABASE_URL is not set; run the tests through ops/test"
        )
        // There is one only past a pooler.
        let direct = environment["HOLDFAST_TEST_DIRECT_URL"]
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let executor = try Inventory.executor(
            database: DatabaseConfiguration(
                url: url,
                directURL: direct,
                isPooled: direct != nil,
                schema: "dbos_examples",
                ownSchema: "holdfast_examples"
            ),
            concurrency: 8,
            logger: logger
        )
        let group = ServiceGroup(configuration: .init(services: [.init(service: executor)], logger: logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let result: Result<ScanReport, any Error>
            do {
                try await executor.waitUntilReady()
                let request = ScanRequest(directory: directory.path, limit: limit)
                let scan = try await executor.client.enqueue(ScanWorkflow.self, request, on: .scans)
                result = .success(try await scan.result())
            } catch {
                result = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }
}
