// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("The reason why a workflow waits")
struct WaitingReasonTests {
    /// A workflow of version v1 on queue q, with one executor that could take it at once.
    private static func enqueued(_ change: (inout WaitingFacts) -> Void = { _ in }) -> WaitingFacts {
        var facts = WaitingFacts(status: "ENQUEUED", name: "w")
        facts.queueName = "q"
        facts.application = "app"
        facts.version = "v1"
        facts.latestVersion = "v1"
        facts.queue = WaitingFacts.Queue()
        facts.executors = [Self.executor()]
        change(&facts)
        return facts
    }

    private static func executor(_ change: (inout WaitingFacts.Executor) -> Void = { _ in }) -> WaitingFacts.Executor {
        var executor = WaitingFacts.Executor(
            id: "e",
            version: "v1",
            isDraining: false,
            runsWorkflow: true,
            listensToQueue: true,
            running: 0,
            capacity: 4,
            runningOfQueue: 0
        )
        change(&executor)
        return executor
    }

    private static func pending(_ owner: WaitingFacts.Owner?) -> WaitingFacts {
        var facts = WaitingFacts(status: "PENDING", name: "w")
        facts.executorID = "e"
        facts.version = "v1"
        facts.owner = owner
        return facts
    }

    @Test("is the first fact that a claim would meet")
    func enqueued() {
        let executor = Self.executor
        #expect(WaitingReason(Self.enqueued()) == .next(queue: "q"))
        #expect(WaitingReason(Self.enqueued { $0.queue?.ahead = 3 }) == .behind(count: 3, queue: "q"))
        #expect(WaitingReason(Self.enqueued { $0.isPortable = false }) == .foreignFormat)
        #expect(WaitingReason(Self.enqueued { $0.executors = [] }) == .noExecutor(application: "app"))
        #expect(
            WaitingReason(Self.enqueued { $0.executors = [executor { $0.version = "v2" }] })
                == .noExecutorOfVersion(version: "v1", others: ["v2"])
        )
        #expect(
            WaitingReason(
                Self.enqueued {
                    $0.version = nil
                    $0.latestVersion = "v2"
                }
            ) == .notLatest(latest: "v2")
        )
        #expect(
            WaitingReason(Self.enqueued { $0.executors = [executor { $0.runsWorkflow = false }] })
                == .workflowNotRegistered(name: "w", version: "v1")
        )
        #expect(
            WaitingReason(Self.enqueued { $0.executors = [executor { $0.listensToQueue = false }] })
                == .nobodyListens(queue: "q")
        )
        #expect(
            WaitingReason(Self.enqueued { $0.executors = [executor { $0.isDraining = true }] })
                == .allDraining(version: "v1")
        )
        #expect(
            WaitingReason(
                Self.enqueued {
                    $0.queue?.workerConcurrency = 2
                    $0.executors = [executor { $0.runningOfQueue = 2 }]
                }
            ) == .queueLimit(queue: "q", limit: 2)
        )
        #expect(
            WaitingReason(Self.enqueued { $0.executors = [executor { $0.running = 4 }] })
                == .executorsFull(running: 4, capacity: 4)
        )
        #expect(WaitingReason(Self.enqueued { $0.queue?.concurrency = 1 }).code == "shared_limits")
    }

    @Test("of a running workflow is its owner and the owner's heartbeat")
    func pending() {
        func owner(_ state: String, age: Double) -> WaitingFacts.Owner {
            WaitingFacts.Owner(id: "e", state: state, heartbeatAgeSeconds: age, leaseRemainingSeconds: 10 - age)
        }
        #expect(WaitingReason(Self.pending(nil)) == .ownerUnknown(executor: "e"))
        #expect(WaitingReason(Self.pending(owner("active", age: 1))) == .running(executor: "e", heartbeatAge: 1))
        #expect(
            WaitingReason(Self.pending(owner("active", age: 8)))
                == .ownerSilent(executor: "e", heartbeatAge: 8, leaseRemaining: 2)
        )
        #expect(WaitingReason(Self.pending(owner("dead", age: 8))) == .ownerGone(executor: "e", version: "v1"))
    }

    @Test("of a delayed workflow names the deaths behind the delay")
    func delayed() {
        var facts = WaitingFacts(status: "DELAYED", name: "w")
        facts.delayRemainingSeconds = 4
        #expect(WaitingReason(facts) == .delayed(seconds: 4, strikes: 0))
        facts.strikes = 3
        #expect(WaitingReason(facts).sentence.contains("3 executors died"))
        facts.status = "SUCCESS"
        #expect(WaitingReason(facts) == .settled(status: "SUCCESS"))
    }
}
