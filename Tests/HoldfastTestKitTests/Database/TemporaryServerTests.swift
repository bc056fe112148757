// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

@testable import HoldfastTestKit

@Suite("A temporary server", .timeLimit(.minutes(5)))
struct TemporaryServerTests {
    @Test("runs tests, and is gone with the process that started it")
    func life() async throws {
        let result = try await #require(
            processExitsWith: .signal(SIGKILL),
            observing: [\.standardOutputContent]
        ) {
            let connection = try await TemporaryServer.start()
            let isEmpty = try await TestDatabase.with(.url(connection)) { database in
                try await database.withClient { try await $0.workflows().isEmpty }
            }
            let folder = connection.split(separator: " ")[0].dropFirst("host=".count)
            FileHandle.standardOutput.write(Data("\nSERVER \(isEmpty) \(folder) \n".utf8))
            // No chance to clean up.
            kill(getpid(), SIGKILL)
        }
        let output = String(decoding: result.standardOutputContent, as: UTF8.self)
        let line = try #require(output.split(separator: "\n").first { $0.hasPrefix("SERVER ") }?.split(separator: " "))
        #expect(line[1] == "true")
        let folder = String(line[2])
        try await until("the folder is gone") { !FileManager.default.fileExists(atPath: folder) }
    }

    @Test("is served over the network of an executor, too")
    func network() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        // In this process: it ends with it.
        let connection = try await TemporaryServer.start()
        close(ends[1])
        #expect(isAtEnd(ends[0]), "the server has a file of this process, which would never come to its end")
        let endpoint = try #require(try PostgresConfiguration(connection).endpoint())
        #expect(endpoint.host.hasPrefix("/tmp/holdfast-test-"))
        try await TestDatabase.with(.url(connection)) { database in
            let workflow = Written { (input: Int, context) async throws -> Int in
                try await context.step("add") { _ in input + 1 }
            }
            try await withTestFleet(workflows: workflow, hasNetwork: true, in: database) { fleet in
                let handle = try await fleet[0].client.start(type(of: workflow), 1)
                #expect(try await handle.result() == 2)
            }
        }
    }

    /// Whether nobody can write to the other end of a pipe any more. Other tests start programs, which have it for a moment.
    private func isAtEnd(_ descriptor: Int32) -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return Foundation.poll(&poll, 1, 60_000) == 1 && poll.revents & Int16(POLLHUP) != 0
    }

    @Test("needs the programs of one, and a user to run them as")
    func programs() throws {
        let found = try PostgresPrograms.find(isRoot: false)
        #expect(found.prefix == [])
        #expect(FileManager.default.isExecutableFile(atPath: "\(found.folder)/initdb"))
        let asRoot = try PostgresPrograms.find(isRoot: true)
        #expect(asRoot.prefix.dropFirst() == ["-u", "postgres", "--"])
    }
}
