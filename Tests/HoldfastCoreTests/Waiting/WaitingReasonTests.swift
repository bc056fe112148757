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
        facts.queue = WaitingFacts.Queue()
        facts.executors = [Self.executor()]
        change(&facts)
        return facts
    }

    private static func executor(_ change: (inout WaitingFacts.Executor) -> Void = { _ in }) -> WaitingFacts.Executor {
        var executor = WaitingFacts.Executor(
            id: "e",
            version: "v1",
            latestVersion: "v1",
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
    }

    @Test("of work without a version is that nobody of the latest version lives, of its application or of any")
    func latest() {
        func reason(of application: String?, _ executors: [(version: String, latest: String?)]) -> WaitingReason {
            WaitingReason(
                Self.enqueued {
                    $0.version = nil
                    $0.application = application
                    $0.executors = executors.map { version, latest in
                        Self.executor {
                            $0.version = version
                            $0.latestVersion = latest
                        }
                    }
                }
            )
        }
        #expect(reason(of: "app", [("v1", "v2")]) == .notLatest(latest: ["v2"]))
        #expect(reason(of: "app", [("v1", "v2"), ("v2", "v2")]) == .next(queue: "q"))
        #expect(reason(of: nil, [("v1", "v2"), ("w1", "w2")]) == .notLatest(latest: ["v2", "w2"]))
        #expect(reason(of: nil, [("v1", "v2"), ("w1", "w1")]) == .next(queue: "q"))
        // Nobody has registered a version yet.
        #expect(reason(of: "app", [("v1", nil)]) == .next(queue: "q"))
        #expect(reason(of: nil, []) == .noExecutor(application: nil))
        #expect(reason(of: nil, []).sentence == "no executor is alive; start one")
        #expect(reason(of: "app", []).sentence == "no executor of application 'app' is alive; start one")
    }

    @Test("of work on a queue whose limits the fleet shares names each of them")
    func sharedLimits() {
        let limited = Self.enqueued {
            $0.queue?.concurrency = 1
            $0.queue?.rateLimit = 10
            $0.queue?.ratePeriodSeconds = 60
        }
        #expect(WaitingReason(limited).code == "shared_limits")
        #expect(
            WaitingReason(limited).sentence
                == "queue 'q' has a limit that all executors share (at most 1 running in the whole fleet, 0 are; at most 10 starts in "
                + "60 s), which Holdfast's executors do not enforce yet and therefore leave alone"
        )
        let partitions: [((inout WaitingFacts.Queue) -> Void, String)] = [
            ({ $0.partitionConcurrency = 3 }, "(at most 3 running of each partition)"),
            ({ $0.partitionWorkerConcurrency = 2 }, "(at most 2 running of each partition on one executor)"),
            (
                {
                    $0.partitionRateLimit = 5
                    $0.partitionRatePeriodSeconds = 1
                }, "(at most 5 starts of each partition in 1.0 s)"
            ),
        ]
        for (change, text) in partitions {
            var facts = Self.enqueued()
            facts.queue.map { queue in
                var queue = queue
                change(&queue)
                facts.queue = queue
            }
            #expect(WaitingReason(facts).sentence.contains(text))
        }
    }

    @Test("of a running workflow is its owner and the owner's heartbeat")
    func pending() {
        func owner(_ state: String, age: Double, lease: Double = 10) -> WaitingFacts.Owner {
            WaitingFacts.Owner(
                id: "e",
                state: state,
                heartbeatAgeSeconds: age,
                leaseRemainingSeconds: lease - age,
                leaseSeconds: lease
            )
        }
        #expect(WaitingReason(Self.pending(nil)) == .ownerUnknown(executor: "e"))
        #expect(WaitingReason(Self.pending(owner("active", age: 1))) == .running(executor: "e", heartbeatAge: 1))
        #expect(WaitingReason(Self.pending(owner("draining", age: 1))) == .ownerDraining(executor: "e"))
        // How often an owner renews its lease is its own affair.
        for (age, lease, code) in [
            (5.0, 10.0, "running"), (7, 10, "owner_silent"), (19, 30, "running"), (21, 30, "owner_silent"),
            (0.6, 1, "running"), (0.7, 1, "owner_silent"),
        ] {
            #expect(WaitingReason(Self.pending(owner("active", age: age, lease: lease))).code == code, "\(age)")
        }
        var facts = Self.pending(owner("active", age: 1))
        func sentence(_ pause: WaitingFacts.Pause) -> String {
            facts.pause = pause
            return WaitingReason(facts).sentence
        }
        let owned = "executor 'e' runs it; its heartbeat is 1.0 s old"
        #expect(
            sentence(.sleep(seconds: 7200, until: "2026-12-01T08:00:00Z"))
                == "it sleeps until 2026-12-01T08:00:00Z, 2 h more; \(owned)"
        )
        #expect(sentence(.sleep(seconds: 1e12, until: nil)) == "it sleeps 11574074 d more; \(owned)")
        #expect(
            sentence(.child(id: "c", status: "ENQUEUED", others: 0))
                == "it has started child 'c', which is ENQUEUED; ask why that one waits; \(owned)"
        )
        #expect(
            sentence(.child(id: "c", status: "PENDING", others: 2))
                == "it has started child 'c', which is PENDING, and 2 more that are open; ask why that one waits; \(owned)"
        )
        // A draining owner does not wait for it.
        facts.owner = owner("draining", age: 1)
        #expect(WaitingReason(facts) == .ownerDraining(executor: "e"))
    }

    @Test("of a workflow whose owner is silent or gone is also whether anybody can take it over")
    func successors() {
        func reason(_ state: String, lease: Double = 2, _ executors: [WaitingFacts.Executor]) -> WaitingReason {
            var facts = Self.pending(
                WaitingFacts.Owner(
                    id: "e",
                    state: state,
                    heartbeatAgeSeconds: 8,
                    leaseRemainingSeconds: lease,
                    leaseSeconds: 10
                )
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
        // Once it is due, it waits for what any other waits for.
        for left in [0, -1000] as [Double] {
            facts.delayRemainingSeconds = left
            #expect(WaitingReason(facts) == .noExecutor(application: nil))
        }
        facts.delayRemainingSeconds = 4
        facts.strikes = 3
        #expect(WaitingReason(facts).sentence.contains("3 executors died"))
        facts.status = "SUCCESS"
        #expect(WaitingReason(facts) == .settled(status: "SUCCESS"))
    }
}
