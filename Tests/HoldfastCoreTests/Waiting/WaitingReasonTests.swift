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
        #expect(WaitingReason(Self.enqueued { $0.queue?.isRegistered = false }) == .queueNotRegistered(queue: "q"))
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
        #expect(WaitingReason(Self.pending(owner("draining", age: 1))) == .ownerDraining(executor: "e"))
    }

    @Test("of a workflow whose owner is silent or gone is also whether anybody can take it over")
    func successors() {
        func reason(_ state: String, lease: Double = 2, _ executors: [WaitingFacts.Executor]) -> WaitingReason {
            var facts = Self.pending(
                WaitingFacts.Owner(id: "e", state: state, heartbeatAgeSeconds: 8, leaseRemainingSeconds: lease)
            )
            facts.executors = executors
            return WaitingReason(facts)
        }
        let itself = Self.executor()
        let peer = Self.executor { $0.id = "peer" }
        let newer = Self.executor {
            $0.id = "newer"
            $0.version = "v2"
        }
        let drained = Self.executor {
            $0.id = "drained"
            $0.isDraining = true
        }
        let nobody = "no executor of version 'v1' can take it over (there are v2); start one, or re-pin the work"
        #expect(reason("active", [itself, peer]).sentence.hasSuffix("its lease ends in 2.0 s; then a peer takes over"))
        #expect(reason("active", [itself, newer, drained]).sentence.hasSuffix("its lease ends in 2.0 s; \(nobody)"))
        #expect(reason("active", lease: -1, [peer]).sentence.hasSuffix("has expired; a peer is about to take over"))
        #expect(reason("dead", [newer]).sentence == "executor 'e', which owned it, is gone; \(nobody)")
        // A new process in the slot of the one that is gone.
        #expect(reason("dead", [itself]).sentence.hasSuffix("an executor of version 'v1' is about to take it over"))
        #expect(reason("dead", []).code == "owner_gone")
        #expect(reason("active", []).code == "owner_silent")
    }

    @Test("of a delayed workflow names the deaths behind the delay")
    func delayed() {
        var facts = WaitingFacts(status: "DELAYED", name: "w")
        facts.delayRemainingSeconds = 4
        #expect(WaitingReason(facts) == .delayed(seconds: 4, strikes: 0))
        for (seconds, text) in [(0.05, "50 ms"), (59.6, "60 s"), (3597, "60 min"), (7200, "2 h"), (1e6, "12 d")] {
            facts.delayRemainingSeconds = seconds
            #expect(WaitingReason(facts).sentence == "it was delayed and may begin in \(text)")
        }
        facts.delayRemainingSeconds = 4
        facts.strikes = 3
        #expect(WaitingReason(facts).sentence.contains("3 executors died"))
        facts.status = "SUCCESS"
        #expect(WaitingReason(facts) == .settled(status: "SUCCESS"))
    }
}
