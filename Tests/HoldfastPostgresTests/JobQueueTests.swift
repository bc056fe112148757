// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite struct JobQueueTests {
    private typealias Queue = JobQueue<String, Int>

    private func run(_ queue: inout Queue) -> (UInt64, String)? {
        if case .run(let id, let job) = queue.next() { (id, job) } else { nil }
    }

    @Test func jobsRunInOrder() {
        var queue = Queue()
        #expect(queue.submit("a") == .accepted(1, wake: false))
        #expect(queue.submit("b") == .accepted(2, wake: false))
        #expect(run(&queue)?.1 == "a")
        queue.finished(1, isInTransaction: true)
        #expect(queue.isInTransaction)
        #expect(run(&queue)?.1 == "b")
        queue.finished(2, isInTransaction: false)
        #expect(!queue.isInTransaction)
    }

    @Test func onlyASleepingThreadIsWoken() {
        var queue = Queue()
        guard case .sleep = queue.next() else { return #expect(Bool(false), "there was something to do") }
        #expect(queue.submit("a") == .accepted(1, wake: true))
        #expect(queue.submit("b") == .accepted(2, wake: false))
    }

    @Test func closingLetsAcceptedJobsFinish() {
        var queue = Queue()
        _ = queue.submit("a")
        #expect(queue.close() == true)
        #expect(queue.close() == false)
        #expect(!queue.isOpen)
        #expect(queue.submit("b") == .refused(PostgresError(.connectionLost, "")))
        #expect(run(&queue)?.1 == "a")
        queue.finished(1, isInTransaction: false)
        guard case .stop = queue.next() else { return #expect(Bool(false), "the thread does not stop") }
    }

    @Test func theEndReturnsWhatIsLeftOnce() {
        var queue = Queue()
        _ = queue.submit("a")
        _ = queue.submit("b")
        #expect(run(&queue)?.1 == "a")
        #expect(queue.watch(7) == nil)
        let first = queue.ended(PostgresError(.connectionLost, "gone"))
        #expect(first.jobs == ["b"])
        #expect(first.watchers == [7])
        let second = queue.ended(PostgresError(.connectionLost, "gone"))
        #expect(second.jobs.isEmpty && second.watchers.isEmpty)
        #expect(queue.watch(8)?.message == "gone")
        #expect(queue.submit("c") == .refused(PostgresError(.connectionLost, "gone")))
    }

    @Test func aWaitingJobIsCancelledByRemovingIt() {
        var queue = Queue()
        _ = queue.submit("a")
        _ = queue.submit("b")
        #expect(run(&queue)?.1 == "a")
        guard case .dequeued("b") = queue.cancel(2) else { return #expect(Bool(false), "b was not waiting") }
        guard case .tooLate = queue.cancel(2) else { return #expect(Bool(false), "b was cancelled twice") }
    }

    /// A cancel request hits whatever the server process runs when it arrives.
    @Test func noJobStartsWhileACancelRequestIsOnItsWay() {
        var queue = Queue()
        _ = queue.submit("a")
        _ = queue.submit("b")
        #expect(run(&queue)?.1 == "a")
        guard case .sendRequest = queue.cancel(1) else { return #expect(Bool(false), "a was not running") }
        queue.finished(1, isInTransaction: false)
        guard case .sleep = queue.next() else { return #expect(Bool(false), "b started too early") }
        #expect(queue.cancelArrived() == true)
        #expect(run(&queue)?.1 == "b")
        guard case .tooLate = queue.cancel(1) else { return #expect(Bool(false), "a was cancelled after its end") }
    }

    @Test func cancellingWithoutARunningJobSendsNothing() {
        var queue = Queue()
        #expect(queue.cancelRunning() == nil)
        _ = queue.submit("a")
        #expect(queue.cancelRunning() == nil)
        _ = run(&queue)
        #expect(queue.cancelRunning() == 1)
    }
}
