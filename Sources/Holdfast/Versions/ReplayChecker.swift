// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// Answers requests to replay recorded histories against the code of this executor. Nothing is executed and nothing but the
/// verdict is written: a run ends where its record ends.
///
/// Each record runs in a task of its own, because it runs user code: code that hangs is left behind, here after `limit` and in
/// a shutdown at once.
final class ReplayChecker: Sendable {
    /// As many are compared at once. Few, so that executors share what there is.
    private static let batch = 8
    /// When so much code hangs, no more is run: it takes memory, and threads if it blocks them.
    private static let mostUnfinished = 24

    private let host: ExecutionHost
    private let interval: Duration
    private let limit: Duration
    private let wake = WakeSignal()
    private let unfinished = Atomic(0)
    private let logger: Logger

    /// - Parameters:
    ///   - hearsRequests: Whether requests are announced to this process. Even then it looks for them now and then:
    ///     announcements may be lost. Behind a pooler there are none, and somebody waits for the answer.
    ///   - limit: How long the code may take for one record.
    init(host: ExecutionHost, hearsRequests: Bool, limit: Duration) {
        self.host = host
        self.interval = hearsRequests ? .seconds(30) : .seconds(3)
        self.limit = limit
        self.logger = host.logger
    }

    /// Somebody has asked.
    func hint() { self.wake.wake() }

    func run() async {
        while !Task.isCancelled {
            await self.wake.wait(until: .now.advanced(by: self.interval))
            do {
                while !Task.isCancelled, !self.host.running.isDraining, try await self.answerSome() {}
            } catch is CancellationError {
                return
            } catch {
                self.logger.warning("a replay check failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// - Returns: Whether there may be more.
    private func answerSome() async throws -> Bool {
        guard self.unfinished.load(ordering: .relaxed) < Self.mostUnfinished else {
            self.logger.error("too many replay checks hang; this executor makes no more until some of them end")
            return false
        }
        let identity = self.host.identity
        let requests = try await self.host.database.pickReplayChecks(by: identity, limit: Self.batch)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for request in requests {
                group.addTask {
                    let answer = try await self.check(request)
                    try await self.host.database.answerReplayCheck(
                        request.id,
                        answer,
                        executorID: identity.executorID.rawValue
                    )
                }
            }
            try await group.waitForAll()
        }
        return requests.count == Self.batch
    }

    private func check(_ request: ReplayRequest) async throws -> ReplayAnswer {
        guard let name = request.name else {
            return ReplayAnswer(verdict: "failed", step: nil, detail: "the workflow was deleted")
        }
        let recorded = try await self.host.database.journal(of: request.workflowID)
        let finding = try await self.replay(
            WorkflowHistory(
                id: WorkflowID(request.workflowID),
                name: WorkflowName(name),
                status: .pending,
                input: request.inputs,
                steps: recorded.map(WorkflowHistory.Step.init)
            )
        )
        guard let finding else {
            self.logger.warning("the code of a replay check hangs", metadata: ["workflow": "\(request.workflowID)"])
            return ReplayAnswer(
                verdict: "failed",
                step: nil,
                detail: "it took longer than \(self.limit): the code between its steps hangs, or waits for something"
            )
        }
        guard let divergence = finding.divergence else {
            return ReplayAnswer(verdict: "compatible", step: nil, detail: nil)
        }
        return ReplayAnswer(
            verdict: "diverges",
            step: divergence.step.map { Int($0.number) },
            detail: divergence.detail
        )
    }

    /// - Returns: `nil` when it takes too long.
    /// - Throws: `CancellationError` when the executor stops.
    private func replay(_ history: WorkflowHistory) async throws -> ReplayFinding? {
        let (findings, continuation) = AsyncStream.makeStream(of: ReplayFinding?.self)
        self.unfinished.add(1, ordering: .relaxed)
        // Nobody waits for these two: a group would wait for code that does not react to its cancellation.
        let replay = Task {
            continuation.yield(await self.host.replay(history))
            self.unfinished.subtract(1, ordering: .relaxed)
        }
        let limit = Task {
            try await Task.sleep(for: self.limit)
            continuation.yield(nil)
        }
        defer {
            replay.cancel()
            limit.cancel()
        }
        for await finding in findings { return finding }
        throw CancellationError()
    }
}

extension WorkflowHistory.Step {
    fileprivate init(_ step: RecordedStep) {
        self.init(
            id: StepID(step.functionID),
            name: step.name,
            output: step.output,
            error: step.error,
            childID: step.childWorkflowID.map(WorkflowID.init(rawValue:))
        )
    }
}
