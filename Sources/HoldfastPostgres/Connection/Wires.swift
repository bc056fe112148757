// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Dispatch
import Synchronization

/// The connections of one executor, held together so that a test can do to them what the kernel does to those of a process
/// that is killed or stopped. Nothing outside tests makes one.
package final class Wires: Sendable {
    private struct State {
        var isCut = false
        var isFrozen = false
        var sockets: [UInt64: SocketHandle] = [:]
        var processIDs: Set<Int32> = []
        var lastID: UInt64 = 0
        var tasks: [CheckedContinuation<Void, Never>] = []
        var threads: [DispatchSemaphore] = []

        var isHeld: Bool { self.isFrozen && !self.isCut }
    }

    private let state = Mutex(State())

    package init() {}

    package var isCut: Bool { self.state.withLock { $0.isCut } }

    /// The processes of the server that served a connection, ended ones included.
    package var processIDs: [Int32] { Array(self.state.withLock { $0.processIDs }) }

    /// Closes every connection at once, whatever it is doing, as the kernel does for a process that was killed. No
    /// connection is made any more.
    package func cut() {
        let sockets = self.state.withLock { state in
            state.isCut = true
            return Array(state.sockets.values)
        }
        for socket in sockets { socket.shutDown() }
        self.wakeAll()
    }

    /// Nothing is sent and no answer is seen until ``thaw()``; the connections stay open.
    package func freeze() { self.state.withLock { $0.isFrozen = true } }

    package func thaw() {
        self.state.withLock { $0.isFrozen = false }
        self.wakeAll()
    }

    /// Returns at once, or as soon as it is thawed or cut.
    package func untilThawed() async {
        await withCheckedContinuation { waiter in
            let returns = self.state.withLock { state in
                if state.isHeld { state.tasks.append(waiter) }
                return !state.isHeld
            }
            if returns { waiter.resume() }
        }
    }

    // MARK: For the threads of connections

    /// Blocks the calling thread while frozen.
    func pass() {
        let thaw: DispatchSemaphore? = self.state.withLock { state in
            guard state.isHeld else { return nil }
            let thaw = DispatchSemaphore(value: 0)
            state.threads.append(thaw)
            return thaw
        }
        thaw?.wait()
    }

    /// - Returns: What to give back with ``remove(_:)``; `nil` when no connection may be made any more.
    func add(_ socket: SocketHandle, processID: Int32) -> UInt64? {
        self.state.withLock { state in
            guard !state.isCut else { return nil }
            state.processIDs.insert(processID)
            state.lastID += 1
            state.sockets[state.lastID] = socket
            return state.lastID
        }
    }

    func remove(_ id: UInt64) { self.state.withLock { $0.sockets[id] = nil } }

    private func wakeAll() {
        let (tasks, threads) = self.state.withLock { state in
            defer {
                state.tasks = []
                state.threads = []
            }
            return (state.tasks, state.threads)
        }
        for task in tasks { task.resume() }
        for thread in threads { thread.signal() }
    }
}
