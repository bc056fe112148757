// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import HoldfastPostgres
import Logging
import Synchronization

/// Answers requests to replay recorded histories against the code of this executor. Nothing is executed and nothing but the
/// verdict is written: a run ends where its record ends.
final class ReplayChecker: Sendable {
    private static let batch = 20
    private let host: ExecutionHost
    private let interval: Duration
    private let wake = WakeSignal()
    private let isAnswering = Atomic(false)
    private let logger: Logger

    /// - Parameter hearsRequests: Whether requests are announced to this process. Even then it looks for them now and then:
    ///   announcements may be lost. Behind a pooler there are none, and somebody waits for the answer.
    init(host: ExecutionHost, hearsRequests: Bool) {
        self.host = host
        self.interval = hearsRequests ? .seconds(30) : .seconds(3)
        self.logger = host.logger
    }

    /// Somebody has asked.
    func hint() { self.wake.wake() }

    func run() async {
        while !Task.isCancelled {
            await self.wake.wait(until: .now.advanced(by: self.interval))
            guard !Task.isCancelled, !self.isAnswering.exchange(true, ordering: .acquiringAndReleasing) else {
                continue
            }
            // Beside this loop, because it runs user code: code that hangs is left behind at a shutdown like any other.
            self.host.running.runUncounted {
                do {
                    while !self.host.running.isDraining, try await self.answerSome() {}
                } catch {
                    self.logger.warning("a replay check failed", metadata: ["error": "\(error)"])
                }
                self.isAnswering.store(false, ordering: .releasing)
            }
        }
    }

    /// - Returns: Whether there may be more.
    private func answerSome() async throws -> Bool {
        let identity = self.host.identity
        let requests = try await self.host.database.openReplayChecks(
            applicationName: identity.applicationName,
            version: identity.applicationVersion,
            limit: Self.batch
        )
        for request in requests {
            let answer = try await self.check(request)
            try await self.host.database.answerReplayCheck(
                request.id,
                answer,
                executorID: identity.executorID.rawValue
            )
        }
        return requests.count == Self.batch
    }

    private func check(_ request: ReplayRequest) async throws -> ReplayAnswer {
        guard let name = request.name else {
            return ReplayAnswer(verdict: "failed", step: nil, detail: "the workflow was deleted")
        }
        let recorded = try await self.host.database.journal(of: request.workflowID)
        let finding = await self.host.replay(
            WorkflowHistory(
                id: WorkflowID(request.workflowID),
                name: WorkflowName(name),
                status: .pending,
                input: request.inputs,
                steps: recorded.map(WorkflowHistory.Step.init)
            )
        )
        guard let divergence = finding.divergence else {
            return ReplayAnswer(verdict: "compatible", step: nil, detail: nil)
        }
        return ReplayAnswer(
            verdict: "diverges",
            step: divergence.step.map { Int($0.number) },
            detail: divergence.detail
        )
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
