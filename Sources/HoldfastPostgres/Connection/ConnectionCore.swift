// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ
import Logging
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// What a connection's thread is asked to do, with the way back to the one who asked.
enum ConnectionJob: Sendable {
    case pipeline([EncodedQuery], CheckedContinuation<Result<[PostgresResult], PostgresError>, Never>)
    case script(String, CheckedContinuation<Result<Void, PostgresError>, Never>)

    func fail(_ error: PostgresError) {
        switch self {
        case .pipeline(_, let continuation): continuation.resume(returning: .failure(error))
        case .script(_, let continuation): continuation.resume(returning: .failure(error))
        }
    }
}

/// The part of a connection that its thread and its users share.
///
/// The thread owns the `PGconn`; users reach it through the queue. The thread keeps the core alive, not the
/// ``PostgresConnection``, so that dropping the last reference to that one ends the thread.
final class ConnectionCore: Sendable {
    typealias Queue = JobQueue<ConnectionJob, CheckedContinuation<PostgresError, Never>>

    /// What is known once the connection stands.
    struct Facts: Sendable {
        let backendPID: Int32
        let serverVersion: Int
        let cancelHandle: CancelHandle?
    }

    typealias NotificationHandler = @Sendable (_ channel: String, _ payload: String) -> Void

    private let queue = Mutex(Queue())
    /// The socket while there is a session.
    private let socket = Mutex<SocketHandle?>(nil)
    private let pipe: WakePipe
    private let logger: Logger
    private let onNotification: NotificationHandler?

    init(logger: Logger, onNotification: NotificationHandler?) throws(PostgresError) {
        pipe = try WakePipe()
        self.logger = logger
        self.onNotification = onNotification
    }

    var isOpen: Bool { queue.withLock { $0.isOpen } }
    var isInTransaction: Bool { queue.withLock { $0.isInTransaction } }

    /// Starts the thread; `completion` is called on it once, when the connection stands or has failed.
    func start(
        _ configuration: PostgresConfiguration,
        completion: @escaping @Sendable (Result<Facts, PostgresError>) -> Void
    ) {
        let started = NativeThread.start {
            self.run(configuration, completion)
        }
        if !started {
            let error = PostgresError(.connectionFailed, "the system has no thread for the connection")
            end(error)
            completion(.failure(error))
        }
    }

    /// Hands over a job; `accepted` learns its number, by which it can be cancelled.
    func submit(_ job: ConnectionJob, accepted: (Queue.JobID) -> Void = { _ in }) {
        switch queue.withLock({ $0.submit(job) }) {
        case .accepted(let id, let wake):
            accepted(id)
            if wake { pipe.wake() }
        case .refused(let error):
            job.fail(error)
        }
    }

    func close() {
        if queue.withLock({ $0.close() }) { pipe.wake() }
    }

    /// Ends the session at once, also in the middle of a query that the server never answers.
    func abandon() {
        close()
        // The thread that waits for the server finds the connection lost.
        socket.withLock { $0 }?.shutDown()
    }

    /// Waits for the end of the thread and says why it ended.
    func ended() async -> PostgresError {
        await withCheckedContinuation { continuation in
            if let error = queue.withLock({ $0.watch(continuation) }) { continuation.resume(returning: error) }
        }
    }

    /// Cancels one job: takes it out of the queue, or asks the server to stop it.
    func cancel(_ id: Queue.JobID, with handle: CancelHandle?) {
        switch queue.withLock({ $0.cancel(id) }) {
        case .dequeued(let job): job.fail(PostgresError(.cancelled, "cancelled before the query was sent"))
        case .sendRequest: sendCancel(id, handle)
        case .tooLate: break
        }
    }

    func cancelRunning(with handle: CancelHandle?) {
        if let id = queue.withLock({ $0.cancelRunning() }) { sendCancel(id, handle) }
    }

    /// In a thread of its own: `PQcancel` opens a connection and waits for the server.
    ///
    /// A request that overtakes its query on the way to the server has no effect, so it is repeated while the job runs.
    private func sendCancel(_ id: Queue.JobID, _ handle: CancelHandle?) {
        let started = NativeThread.start {
            var pause: useconds_t = 50_000
            while true {
                if let problem = handle?.send() {
                    self.logger.warning("a query could not be cancelled", metadata: ["reason": "\(problem)"])
                }
                self.cancelArrived()
                usleep(pause)
                pause = min(pause * 2, 900_000)
                guard case .sendRequest = self.queue.withLock({ $0.cancel(id) }) else { return }
            }
        }
        if !started { cancelArrived() }
    }

    private func cancelArrived() {
        if queue.withLock({ $0.cancelArrived() }) { pipe.wake() }
    }
}

// MARK: - On the thread

extension ConnectionCore {
    private func run(
        _ configuration: PostgresConfiguration,
        _ completion: @Sendable (Result<Facts, PostgresError>) -> Void
    ) {
        let wires = configuration.wires
        wires?.pass()
        let session: LibPQSession
        let handle: SocketHandle
        do throws(PostgresError) {
            session = try LibPQSession.connect(configuration, logger: logger, interrupt: pipe.readEnd)
            handle = try SocketHandle(duplicating: session.socket)
        } catch {
            end(error)
            completion(.failure(error))
            return
        }
        let wire = wires?.add(handle, processID: PQbackendPID(session.pointer))
        if wires != nil, wire == nil {
            let error = PostgresError(.connectionLost, "the connection was cut")
            handle.close()
            session.finish()
            end(error)
            completion(.failure(error))
            return
        }
        completion(
            .success(
                Facts(
                    backendPID: PQbackendPID(session.pointer),
                    serverVersion: Int(PQserverVersion(session.pointer)),
                    cancelHandle: CancelHandle(session.pointer)
                )
            )
        )
        socket.withLock { $0 = handle }
        let loss = serve(session, wires)
        socket.withLock { $0 = nil }
        if let wire { wires?.remove(wire) }
        handle.close()
        // First, so that whoever waits for the end finds the server's side closing.
        session.finish()
        end(loss)
    }

    /// Works until the connection is closed (`nil`) or lost.
    private func serve(_ session: LibPQSession, _ wires: Wires?) -> PostgresError? {
        while true {
            switch queue.withLock({ $0.next() }) {
            case .run(let id, .pipeline(let queries, let continuation)):
                wires?.pass()
                let outcome = session.run(queries)
                wires?.pass()
                finish(id, session)
                if let loss = outcome.loss { end(loss) }
                continuation.resume(returning: outcome.result)
                if let loss = outcome.loss { return loss }
            case .run(let id, .script(let script, let continuation)):
                wires?.pass()
                let outcome = session.run(script: script)
                wires?.pass()
                finish(id, session)
                if let loss = outcome.loss { end(loss) }
                continuation.resume(returning: outcome.result)
                if let loss = outcome.loss { return loss }
            case .sleep:
                if let loss = sleep(session, wires) { return loss }
            case .stop:
                return nil
            }
        }
    }

    private func finish(_ id: Queue.JobID, _ session: LibPQSession) {
        queue.withLock { $0.finished(id, isInTransaction: session.isInTransaction) }
        deliverNotifications(session)
    }

    /// Waits for a job or for the server: a notification, or the end of the connection, is noticed while idle.
    private func sleep(_ session: LibPQSession, _ wires: Wires?) -> PostgresError? {
        var descriptors = [
            pollfd(fd: pipe.readEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: session.socket, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&descriptors, 2, -1) < 0 {
            guard errno == EINTR else { return session.connectionLost() }
        }
        if descriptors[0].revents != 0 { pipe.drain() }
        guard descriptors[1].revents != 0 else { return nil }
        wires?.pass()
        do throws(PostgresError) {
            try session.consumeInput()
        } catch {
            return error
        }
        deliverNotifications(session)
        return nil
    }

    private func deliverNotifications(_ session: LibPQSession) {
        session.takeNotifications { channel, payload in onNotification?(channel, payload) }
    }

    /// Marks the end. Idempotent: what was waiting is told once.
    private func end(_ error: PostgresError?) {
        let ended = queue.withLock { $0.ended(error) }
        for job in ended.jobs { job.fail(ended.error) }
        for watcher in ended.watchers { watcher.resume(returning: ended.error) }
    }
}
