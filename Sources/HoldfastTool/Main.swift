// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser

@main
enum Main {
    static func main() async {
        do {
            var command = try HoldfastCommand.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            self.end(error)
        }
    }

    private static func end(_ error: any Error) -> Never {
        if let failure = error as? Failure {
            Terminal.complain(failure.message)
            exitProcess(failure.status)
        }
        let text = HoldfastCommand.fullMessage(for: error)
        guard HoldfastCommand.exitCode(for: error).isSuccess else {
            let prefix = "Error: "
            Terminal.complain(text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text)
            exitProcess(.usage)
        }
        // Somebody asked for help.
        do { try Terminal.print(text.hasSuffix("\n") ? text : text + "\n") } catch {
            Terminal.complain(error.message)
            exitProcess(error.status)
        }
        exitProcess(.done)
    }
}
