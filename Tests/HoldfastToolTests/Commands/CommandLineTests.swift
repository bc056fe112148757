// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import TestSupport
import Testing

@Suite("The command line", .timeLimit(.minutes(5))) struct CommandLineTests {
    private let tool = Tool(environment: ["HOLDFAST_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/db"])

    private static let commands: [[String]] = [
        ["migrate"], ["migrate", "--check"], ["workflow", "list"], ["workflow", "get", "x"],
        ["workflow", "steps", "x"],
        ["workflow", "history", "x"], ["workflow", "cancel", "x"], ["workflow", "resume", "x"], ["queue", "list"],
        ["fleet", "status"], ["workflow", "enqueue", "greet", "--queue", "q", "--input", "1"],
        ["workflow", "why", "x"],
        ["fleet", "drain", "x"], ["version", "list", "--application", "shop"],
        ["version", "latest", "--application", "shop"], ["version", "latest", "v1", "--application", "shop"],
        ["version", "retire", "v1", "--application", "shop"], ["version", "wait", "v1", "--application", "shop"],
        ["version", "repin", "--from", "v1", "--to", "v2", "--application", "shop"],
        ["version", "repin", "--from", "v1", "--to", "v2", "--dry-run", "--timeout", "5", "--application", "shop"],
    ]

    @Test("a database that cannot be reached", arguments: Self.commands)
    func unreachable(_ command: [String]) async throws {
        for arguments in [command, command + ["--json"]] {
            let answer = try await self.tool.run(arguments)
            #expect(answer.status == 4)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint.hasPrefix("holdfast: no connection to the database: "))
            #expect(answer.complaint.contains("127.0.0.1") && answer.complaint.contains("port 1"))
            #expect(answer.complaint.contains("Connection refused"))
            #expect(!answer.complaint.contains("s3cret"))
        }
    }

    @Test("a login that is refused", .direct(because: "PgBouncer hides why a server refuses a login"))
    func refusedLogin() async throws {
        let url = TestServer.url.replacing("postgres@", with: "no_such_role:s3cret@")
        let answer = try await Tool(environment: [:]).run(["workflow", "list", "--database-url", url])
        #expect(answer.status == 4)
        #expect(answer.complaint.contains("no_such_role"))
        #expect(!answer.complaint.contains("s3cret"))
    }

    @Test("a server that says nothing is given up after seconds, and Ctrl-C ends the waiting at once")
    func silence() async throws {
        let server = try SilentServer()
        defer { server.close() }
        let tool = Tool(environment: ["HOLDFAST_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:\(server.port)/db"])
        let answer = try await tool.run(["fleet", "status"])
        #expect(answer.status == 4)
        #expect(answer.complaint.contains("timeout expired after 5.0 seconds"))
        #expect(!answer.complaint.contains("s3cret"))

        let interrupted = try await tool.run(["fleet", "status"], interruptAfter: .milliseconds(300))
        #expect(interrupted.status == -SIGINT)
    }

    @Test("no database is named", arguments: Self.commands)
    func noDatabase(_ command: [String]) async throws {
        for environment in [[:], ["HOLDFAST_DATABASE_URL": " "]] {
            let answer = try await Tool(environment: environment).run(command)
            #expect(answer.status == 64)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint.contains("--database-url"))
            #expect(answer.complaint.contains("HOLDFAST_DATABASE_URL"))
        }
    }

    @Test("the option wins over the environment")
    func option() async throws {
        let answer = try await self.tool.run(["fleet", "status", "--database-url", "postgresql://127.0.0.1:2/db"])
        #expect(answer.status == 4)
        #expect(answer.complaint.contains("port 2"))
    }

    @Test(
        "calls that are wrong",
        arguments: [
            ["nonsense"], ["workflow", "nonsense"], ["workflow", "get"], ["workflow", "get", ""],
            ["workflow", "get", " "], ["workflow", "steps", ""], ["workflow", "history", "\t"], ["workflow", "cancel"],
            ["workflow", "cancel", "a", ""], ["workflow", "resume", " "], ["workflow", "resume", "a", "--queue", ""],
            ["workflow", "list", "--status", "LOST"], ["workflow", "list", "--limit", "0"],
            ["workflow", "list", "--offset=-1"], ["workflow", "list", "--since", "yesterday"],
            ["workflow", "list", "--since", "1h", "--until", "2h"], ["workflow", "list", "--version", ""],
            ["workflow", "list", "--id-prefix", " "], ["workflow", "enqueue", "", "--queue", "q", "--input", "1"],
            ["workflow", "enqueue", "greet", "--queue", "", "--input", "1"],
            ["workflow", "enqueue", "greet", "--queue", "q"],
            ["workflow", "enqueue", "greet", "--queue", "q", "--input", "1", "--id", ""],
            ["workflow", "why"], ["workflow", "why", " "], ["fleet", "drain"], ["fleet", "drain", "a", ""],
            ["version", "latest", "", "--application", "shop"], ["version", "retire", "--application", "shop"],
            ["version", "repin", "--from", "v1", "--application", "shop"],
            ["version", "repin", "--from", "v1", "--to", " ", "--application", "shop"],
            ["version", "repin", "--from", "v1", "--to", "v1", "--application", "shop"],
            ["version", "repin", "--from", "v1", "--to", "v2", "--timeout", "5", "--application", "shop"],
            ["version", "repin", "--from", "v1", "--to", "v2", "--dry-run", "--timeout", "0", "--application", "shop"],
            ["fleet", "status", "--application", "X"], ["fleet", "status", "--schema", ""],
            ["fleet", "status", "--schema", "same", "--own-schema", "same"], ["migrate", "--schema", "pg_catalog"],
            ["fleet", "status", "--database-url", "postgresql://u:s3cret@h:port/db"],
            ["fleet", "status", "postgresql://u:s3cret@h/db"],
        ]
    )
    func usage(_ arguments: [String]) async throws {
        let answer = try await self.tool.run(arguments)
        #expect(answer.status == 64)
        #expect(answer.output.isEmpty)
        #expect(answer.complaint.hasPrefix("holdfast: "))
        #expect(!answer.complaint.contains("s3cret"))
    }

    @Test(
        "versions without an application",
        arguments: [
            ["list"], ["latest"], ["latest", "v1"], ["retire", "v1"], ["repin", "--from", "v1", "--to", "v2"],
        ]
    )
    func noApplication(_ command: [String]) async throws {
        let answer = try await self.tool.run(["version"] + command)
        #expect(answer.status == 64)
        #expect(answer.output.isEmpty)
        #expect(
            answer.complaint.hasPrefix(
                "holdfast: versions belong to an application; give its name with --application\n"
            )
        )
    }

    @Test("help needs no database and tells the exit codes", arguments: Self.commands)
    func help(_ command: [String]) async throws {
        let answer = try await Tool(environment: [:]).run(command.prefix(2).filter { $0 != "--check" } + ["--help"])
        #expect(answer.status == 0)
        #expect(answer.complaint.isEmpty)
        #expect(answer.output.contains("EXIT CODES\n  0   done\n"))
        #expect(answer.output.contains("--database-url"))
    }
}
