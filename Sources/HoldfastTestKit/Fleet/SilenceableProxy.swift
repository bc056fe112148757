// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Synchronization

/// A way to the database through a port of the loopback interface, over which nothing gets while it is silent.
///
/// The kernel still acknowledges what is sent to the port, so keep-alives do not find the break; only the lack of answers
/// does, as with a network that loses everything but the least.
final class SilenceableProxy: Sendable {
    private struct State {
        var isSilent = false
        var isClosed = false
    }

    let port: UInt16
    private let host: String
    private let upstreamPort: UInt16
    private let state = Mutex(State())

    /// - Parameter host: A name, an address, or the folder of a Unix socket.
    init(to host: String, port upstreamPort: UInt16) throws {
        guard let (listener, port) = Sockets.listen() else {
            throw TestKitError(.executor, "no port of 127.0.0.1 is free for the network of an executor")
        }
        self.host = host
        self.upstreamPort = upstreamPort
        self.port = port
        Thread.detachNewThread { self.accept(listener) }
    }

    var isSilent: Bool {
        get { self.state.withLock { $0.isSilent } }
        set { self.state.withLock { $0.isSilent = newValue } }
    }

    /// Ends all connections, soon.
    func close() { self.state.withLock { $0.isClosed = true } }

    private var isClosed: Bool { self.state.withLock { $0.isClosed } }

    // MARK: On threads

    /// So soon a change of the state takes effect.
    private static let tick: Int32 = 10

    private func accept(_ listener: Int32) {
        while !self.isClosed {
            guard !self.isSilent, Sockets.isReadable(listener, within: Self.tick) else {
                if self.isSilent { usleep(UInt32(Self.tick) * 1000) }
                continue
            }
            guard let client = Sockets.accept(listener) else { continue }
            Thread.detachNewThread { self.serve(client) }
        }
        Sockets.close(listener)
    }

    private func serve(_ client: Int32) {
        defer { Sockets.close(client) }
        guard let server = Sockets.connect(self.host, self.upstreamPort) else { return }
        defer { Sockets.close(server) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while !self.isClosed {
            if self.isSilent {
                usleep(UInt32(Self.tick) * 1000)
                continue
            }
            var descriptors = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&descriptors, 2, Self.tick) > 0, !self.isSilent else { continue }
            for (from, to) in [(0, 1), (1, 0)] where descriptors[from].revents != 0 {
                let count = Sockets.read(descriptors[from].fd, &buffer)
                guard count > 0, Sockets.write(descriptors[to].fd, buffer[..<count]) else { return }
            }
        }
    }
}
