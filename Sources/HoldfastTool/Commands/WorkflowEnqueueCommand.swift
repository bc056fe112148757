// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct WorkflowEnqueueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enqueue",
        abstract: "Puts a workflow on a queue.",
        discussion: """
            The input is the workflow's one argument, as JSON; a text needs its quotes: --input '"text"'. The latest \
            version of the application runs it, or of any application without --application. Prints the workflow's id.

            An id that is in use already leads to exit code 6, and nothing is enqueued: so a script may try again.

            \(ExitStatus.help)
            """
    )

    @Argument(help: "The name under which the workflow is registered.")
    var name: WorkflowName

    @Option(help: "The queue.")
    var queue: QueueName

    @Option(help: ArgumentHelp("The input.", valueName: "json"))
    var input: String

    @Option(help: "The workflow's id and idempotency key. Default: a new one.")
    var id: WorkflowID?

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let input: PayloadText
        do { input = try PayloadText(parsing: self.input) } catch {
            throw Failure(.usage, "--input is not JSON: \(error.message)")
        }
        let (id, isRegistered) = try await self.global.withClient(changes: true) { client in
            let handle = try await client.enqueue(
                WorkflowReference<PayloadText, PayloadText>(self.name),
                input,
                on: self.queue,
                options: EnqueueOptions(id: self.id, reuse: .reject)
            )
            // It is enqueued now, whatever becomes of this question.
            let queues = try? await client.queues()
            return (handle.id, queues?.contains { $0.name == self.queue && $0.isRegistered } ?? true)
        }
        try self.global.show(
            json: .object(["id": JSONText(id), "name": JSONText(self.name), "queue": JSONText(self.queue)]),
            text: { _ in "\(Printable.line(id.rawValue))\n" }
        )
        if !isRegistered, !self.global.json {
            Terminal.complain("no executor has registered queue '\(self.queue)'; the workflow waits until one does")
        }
    }
}
