// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Logging
import Synchronization

/// Performs the commands, with an executor once it was told to `run`, with a client alone before.
final class Worker: Sendable {
    private let options: Options
    private let database: DatabaseConfiguration
    private let client: HoldfastClient
    private let moments = Moments()
    private let running = Mutex<(executor: HoldfastExecutor, task: Task<Void, any Error>)?>(nil)
    private let logger = Logger(label: "bench")

    init(_ options: Options) throws {
        self.options = options
        self.database = DatabaseConfiguration(url: options.url)
        self.client = try HoldfastClient(database: self.database, applicationName: "bench", logger: self.logger)
    }

    func perform(_ command: Command) async throws -> Answer {
        let client = self.running.withLock { $0?.executor.client } ?? self.client
        switch command.name {
        case "run":
            try await self.runExecutor()
            return Answer()
        case "steps":
            let steps = try command.number(1)
            let workflows = try command.number(0)
            return try await self.repeated(workflows, concurrency: workflows) { _ in
                _ = try await client.start(Steps.self, steps).result()
            }
        case "direct":
            return try await self.repeated(command.number(0), concurrency: command.number(1)) { _ in
                _ = try await client.start(NoOp.self, Payload()).result()
            }
        case "enqueue":
            let queue = QueueName(try command.text(2))
            return try await self.repeated(command.number(0), concurrency: command.number(1)) { _ in
                _ = try await client.enqueue(NoOp.self, Payload(), on: queue)
            }
        case "probe":
            return try await self.probe(command, client)
        case "began":
            return Answer(began: self.moments.take())
        default:
            throw Failure("there is no command '\(command.name)'")
        }
    }

    func stop() async {
        await self.client.close()
        let task = self.running.withLock { $0?.task }
        task?.cancel()
        _ = try? await task?.value
    }

    private func runExecutor() async throws {
        var configuration = HoldfastExecutor.Configuration(applicationName: "bench", database: self.database)
        configuration.executorID = ExecutorID(self.options.id)
        configuration.applicationVersion = "bench"
        let executor = try HoldfastExecutor(
            configuration: configuration,
            workflows: NoOp(),
            Steps(),
            Began(moments: self.moments),
            queues: (1...max(1, self.options.queues)).map { Queue(QueueName("queue-\($0)")) },
            logger: self.logger
        )
        // `stop` cancels and awaits it.
        let task = Task { try await executor.run() }
        self.running.withLock { $0 = (executor, task) }
        do {
            try await executor.waitUntilReady()
        } catch {
            try await task.value
            throw error
        }
    }

    /// Runs `body` `count` times, at most `concurrency` at once, and times each and all.
    private func repeated(
        _ count: Int,
        concurrency: Int,
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws -> Answer {
        let next = Counter()
        let began = monotonicSeconds()
        var milliseconds: [Double] = []
        try await withThrowingTaskGroup(of: [Double].self) { group in
            for _ in 0..<min(concurrency, count) {
                group.addTask {
                    var own: [Double] = []
                    while true {
                        let index = next.next()
                        guard index < count else { return own }
                        let began = monotonicSeconds()
                        try await body(index)
                        own.append((monotonicSeconds() - began) * 1000)
                    }
                }
            }
            for try await own in group { milliseconds += own }
        }
        return Answer(seconds: monotonicSeconds() - began, milliseconds: milliseconds)
    }

    private func probe(_ command: Command, _ client: HoldfastClient) async throws -> Answer {
        let pauses = Double(try command.number(1))...Double(try command.number(2))
        let queue = QueueName(try command.text(3))
        var answer = Answer(called: [], returned: [])
        for index in 0..<(try command.number(0)) {
            try await Task.sleep(for: .milliseconds(Double.random(in: pauses)))
            answer.called?.append(monotonicSeconds())
            _ = try await client.enqueue(Began.self, index, on: queue)
            answer.returned?.append(monotonicSeconds())
        }
        return answer
    }
}

private final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    /// 0, 1, 2, …
    func next() -> Int { self.value.add(1, ordering: .relaxed).oldValue }
}
