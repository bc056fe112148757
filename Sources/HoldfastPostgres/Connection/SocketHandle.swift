// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A descriptor of our own for a session's socket, by which other threads can end the session.
///
/// Not libpq's: that one closes its descriptor as soon as it finds the connection lost, and a moment later the number may belong
/// to another connection.
final class SocketHandle: Sendable {
    private let descriptor: Mutex<Int32?>

    /// - Throws: When the process has no descriptor left.
    init(duplicating socket: Int32) throws(PostgresError) {
        let descriptor = fcntl(socket, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else {
            throw PostgresError(
                .connectionFailed,
                "the connection's socket cannot be duplicated: \(String(cString: strerror(errno)))"
            )
        }
        self.descriptor = Mutex(descriptor)
    }

    deinit { self.close() }

    /// Ends the connection in both directions, unless the handle is closed.
    func shutDown() {
        self.descriptor.withLock { descriptor in
            if let descriptor { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// The connection ends when libpq has closed its descriptor, too.
    func close() {
        self.descriptor.withLock { descriptor in
            if let open = descriptor.take() { _ = systemClose(open) }
        }
    }
}

private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
