// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Synchronization

/// A way to a server on 127.0.0.1 that a test can cut.
package final class TCPProxy: Sendable {
    package enum Condition: Sendable {
        /// Everything passes.
        case open
        /// Connections stay and new ones are accepted, but no byte passes and no end is told. What was sent waits.
        case silent
        /// There are no connections: those of this moment end, new ones end at once.
        case closed
    }

    package struct Failed: Error {}

    /// Two sockets and the two threads that carry bytes between them.
    private final class Link: Sendable {
        let client: Int32
        let server: Int32
        let state = Mutex((pumps: 2, isForgotten: false))

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }

        /// Ends both connections, unless their sockets are closed: their numbers may belong to others by now.
        func shutDown() {
            self.state.withLock { state in
                guard state.pumps > 0 else { return }
                _ = shutdown(self.client, Int32(SHUT_RDWR))
                _ = shutdown(self.server, Int32(SHUT_RDWR))
            }
        }

        /// One thread has ended; the last one closes the sockets.
        func pumpEnded() -> Bool {
            self.state.withLock { state in
                state.pumps -= 1
                guard state.pumps == 0 else { return false }
                close(self.client)
                close(self.server)
                return true
            }
        }
    }

    private struct State {
        var condition = Condition.open
        var isStopped = false
        var isListening = true
        var links: [ObjectIdentifier: Link] = [:]
    }

    package let port: UInt16
    private let target: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    package init(to target: UInt16) throws {
        self.target = target
        self.listener = Self.newSocket()
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        self.port = UInt16(bigEndian: address.sin_port)
        guard isListening else {
            close(listener)
            throw Failed()
        }
        Thread.detachNewThread { self.acceptAll() }
    }

    /// Runs `body` with a proxy that is gone afterwards.
    package static func with<R>(to target: UInt16, _ body: (TCPProxy) async throws -> R) async throws -> R {
        let proxy = try TCPProxy(to: target)
        defer { proxy.stop() }
        return try await body(proxy)
    }

    package func become(_ condition: Condition) {
        let links = self.state.withLock { state in
            state.condition = condition
            return condition == .closed ? Array(state.links.values) : []
        }
        for link in links { link.shutDown() }
    }

    /// No byte of the connections of this moment passes any more, as when a router has lost its table; new ones are open.
    package func forgetConnections() {
        self.state.withLock { state in
            for link in state.links.values { link.state.withLock { $0.isForgotten = true } }
            state.condition = .open
        }
    }

    private func stop() {
        let links = self.state.withLock { state in
            state.isStopped = true
            // Ends the accepting thread, which closes the socket. Under the lock: afterwards its number may belong to another.
            if state.isListening { _ = shutdown(self.listener, Int32(SHUT_RDWR)) }
            return Array(state.links.values)
        }
        for link in links { link.shutDown() }
    }

    private func acceptAll() {
        while true {
            let client = accept(self.listener, nil, nil)
            if self.state.withLock({ $0.isStopped }) || client < 0 {
                if client >= 0 { close(client) }
                break
            }
            guard self.state.withLock({ $0.condition != .closed }), let server = self.connected() else {
                close(client)
                continue
            }
            let link = Link(client: client, server: server)
            self.state.withLock { $0.links[ObjectIdentifier(link)] = link }
            Thread.detachNewThread { self.pump(link, from: client, to: server) }
            Thread.detachNewThread { self.pump(link, from: server, to: client) }
        }
        self.state.withLock { state in
            state.isListening = false
            close(self.listener)
        }
    }

    private func connected() -> Int32? {
        let server = Self.newSocket()
        var address = Self.loopback(port: self.target)
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                connect(server, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status == 0 { return server }
        close(server)
        return nil
    }

    private func pump(_ link: Link, from source: Int32, to sink: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var isAlive = true
        while isAlive {
            let count = read(source, &buffer, buffer.count)
            // An end, too, is something that is told.
            guard self.untilOpen(link), count > 0 else { break }
            var sent = 0
            while isAlive, sent < count {
                let written = buffer.withUnsafeBytes { bytes in
                    send(sink, bytes.baseAddress.map { $0 + sent }, count - sent, Self.noSignal)
                }
                isAlive = written > 0
                sent += max(0, written)
            }
        }
        link.shutDown()
        if link.pumpEnded() { self.state.withLock { $0.links[ObjectIdentifier(link)] = nil } }
    }

    /// Waits while nothing passes; `false` when nothing ever will.
    private func untilOpen(_ link: Link) -> Bool {
        while true {
            let passes: Bool? = self.state.withLock { state in
                if state.isStopped || state.condition == .closed { return false }
                return state.condition == .open && !link.state.withLock { $0.isForgotten } ? true : nil
            }
            if let passes { return passes }
            usleep(2000)
        }
    }

    /// Writing to a connection that has ended is no reason to end the process.
    #if canImport(Darwin)
    private static let noSignal: Int32 = 0
    #else
    private static let noSignal = Int32(MSG_NOSIGNAL)
    #endif

    private static func newSocket() -> Int32 {
        #if canImport(Darwin)
        // Sockets that are accepted inherit it.
        let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        var isOn: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &isOn, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
        #elseif canImport(Musl)
        return socket(AF_INET, SOCK_STREAM, 0)
        #else
        return socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return address
    }
}
