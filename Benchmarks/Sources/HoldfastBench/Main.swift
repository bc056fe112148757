// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Logging

/// One process of the benchmark: it takes commands, one a line, from standard input and answers each with one line of
/// JSON. The driver, `ops/bench`, starts it, and meters the server while a command runs.
///
///     holdfast-bench url=postgresql://… [id=worker-1] [queues=1]
///
/// It says `READY` as soon as it listens. See ``Command`` for the commands. It ends with `stop`, or with its input.
@main
enum Main {
    static func main() async {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .warning
            return handler
        }
        do {
            let worker = try Worker(Options(CommandLine.arguments.dropFirst()))
            say(Data("READY".utf8))
            for await line in standardInput() {
                let command = Command(line)
                if command.name == "stop" { break }
                do {
                    say(try JSONEncoder().encode(await worker.perform(command)))
                } catch {
                    fail("'\(line)' failed: \(error)")
                }
            }
            await worker.stop()
        } catch {
            fail("\(error)")
        }
    }

    private static func say(_ line: Data) { FileHandle.standardOutput.write(line + Data("\n".utf8)) }

    private static func fail(_ message: String) -> Never {
        FileHandle.standardError.write(Data("holdfast-bench: \(message)\n".utf8))
        exit(1)
    }

    /// The lines of standard input, read by a thread of their own: a blocking read has no place on the cooperative pool.
    private static func standardInput() -> AsyncStream<String> {
        AsyncStream { continuation in
            Thread.detachNewThread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
    }
}

/// What the process is started with: words of the form `key=value`.
struct Options {
    let url: String
    /// The executor's slot.
    let id: String
    /// How many queues the executor registers.
    let queues: Int

    init(_ words: some Sequence<String>) throws {
        var values: [String: String] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw Failure("'\(word)' is not of the form key=value") }
            values[parts[0]] = parts[1]
        }
        guard let url = values.removeValue(forKey: "url") else { throw Failure("url=… is missing") }
        self.url = url
        self.id = values.removeValue(forKey: "id") ?? "worker"
        self.queues = values.removeValue(forKey: "queues").flatMap { Int($0) } ?? 1
        guard values.isEmpty else { throw Failure("unknown: \(values.keys.sorted().joined(separator: ", "))") }
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
