// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

// An executor as a service. SIGTERM or Ctrl-C stops it in good order; a second one ends the grace period.
import Holdfast
import Logging
import ServiceLifecycle
import UnixSignals

struct Greeting: Workflow {
    static let name: WorkflowName = "greeting"

    func run(_ name: String, context: WorkflowContext) async throws -> String {
        try await context.step("greet") { _ in "Hello, \(name)" }
    }
}

let logger = Logger(label: "greeter")
let executor = try HoldfastExecutor(
    configuration: .init(
        applicationName: "greeter",
        database: .init(url: "postgresql://postgres@127.0.0.1:5432/holdfast")
    ),
    workflows: Greeting(),
    queues: [Queue("greetings")],
    logger: logger
)
// snippet.show
let services = ServiceGroup(services: [executor], logger: logger)
let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)

try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await services.run() }
    group.addTask {
        var signals = signals.makeAsyncIterator()
        _ = await signals.next()
        await services.triggerGracefulShutdown()  // running steps may reach their checkpoint …
        _ = await signals.next()  // … until somebody loses patience
    }
    try await group.next()  // the services have ended, or there was a second signal
    group.cancelAll()
}
