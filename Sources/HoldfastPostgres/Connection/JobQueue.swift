// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What a connection's thread has to do: jobs in order of arrival, cancellation, and the end.
///
/// ```
/// open ──close()──▶ closing ──ended()──▶ closed
///   └───────────────ended()────────────────▲
/// ```
/// While closing, jobs that were accepted still run; new ones are refused. A cancel request names the server process,
/// not the query, so while one is on its way no other job starts: it would be the one to be hit.
struct JobQueue<Job, Watcher> {
    typealias JobID = UInt64

    enum Submission: Equatable {
        case accepted(JobID, wake: Bool)
        case refused(PostgresError)

        static func == (left: Self, right: Self) -> Bool {
            switch (left, right) {
            case (.accepted(let a, let wakeA), .accepted(let b, let wakeB)): a == b && wakeA == wakeB
            case (.refused(let a), .refused(let b)): a.code == b.code
            default: false
            }
        }
    }

    enum Next {
        case run(JobID, Job)
        case sleep
        case stop
    }

    enum Cancellation {
        /// The job had not started; it never will.
        case dequeued(Job)
        /// The job is running: send a cancel request, then call ``cancelArrived()``.
        case sendRequest
        case tooLate
    }

    private enum Phase {
        case open
        case closing
        case closed(PostgresError)
    }

    private var phase = Phase.open
    private var waiting: [(id: JobID, job: Job)] = []
    private var running: JobID?
    private var asleep = false
    private var cancelsOnTheWay = 0
    private var lastID: JobID = 0
    private var watchers: [Watcher] = []
    /// Whether the last job left a transaction open.
    private(set) var isInTransaction = false

    /// Whether new jobs are accepted.
    var isOpen: Bool {
        if case .open = phase { true } else { false }
    }

    mutating func submit(_ job: Job) -> Submission {
        switch phase {
        case .open:
            lastID += 1
            waiting.append((lastID, job))
            return .accepted(lastID, wake: takeSleep())
        case .closing:
            return .refused(Self.closedHere)
        case .closed(let error):
            return .refused(error)
        }
    }

    /// The thread asks what to do. After `sleep` it waits until it is woken.
    mutating func next() -> Next {
        guard cancelsOnTheWay == 0 else {
            asleep = true
            return .sleep
        }
        if !waiting.isEmpty {
            let (id, job) = waiting.removeFirst()
            running = id
            return .run(id, job)
        }
        guard isOpen else { return .stop }
        asleep = true
        return .sleep
    }

    mutating func finished(_ id: JobID, isInTransaction: Bool) {
        running = nil
        self.isInTransaction = isInTransaction
    }

    mutating func cancel(_ id: JobID) -> Cancellation {
        if running == id {
            cancelsOnTheWay += 1
            return .sendRequest
        }
        if let index = waiting.firstIndex(where: { $0.id == id }) {
            return .dequeued(waiting.remove(at: index).job)
        }
        return .tooLate
    }

    /// The job that runs now, if any: a cancel request is to be sent for it.
    mutating func cancelRunning() -> JobID? {
        if running != nil { cancelsOnTheWay += 1 }
        return running
    }

    /// Whether the thread is to be woken.
    mutating func cancelArrived() -> Bool {
        cancelsOnTheWay -= 1
        return takeSleep()
    }

    /// Whether the thread is to be woken.
    mutating func close() -> Bool {
        guard isOpen else { return false }
        phase = .closing
        // A thread that is still connecting sleeps in its own poll, not here.
        asleep = false
        return true
    }

    /// The connection is gone. What is returned never ran, or waited for the end.
    mutating func ended(_ error: PostgresError?) -> (jobs: [Job], watchers: [Watcher], error: PostgresError) {
        let error = error ?? Self.closedHere
        phase = .closed(error)
        defer {
            waiting = []
            watchers = []
        }
        return (waiting.map(\.job), watchers, error)
    }

    /// Registers interest in the end; the error if it has come already.
    mutating func watch(_ watcher: Watcher) -> PostgresError? {
        if case .closed(let error) = phase { return error }
        watchers.append(watcher)
        return nil
    }

    private mutating func takeSleep() -> Bool {
        defer { asleep = false }
        return asleep
    }

    private static var closedHere: PostgresError { PostgresError(.connectionLost, "the connection was closed") }
}
