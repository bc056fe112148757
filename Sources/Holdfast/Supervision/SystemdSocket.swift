// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The datagram socket on which a service manager listens, see sd_notify(3).
struct SystemdSocket: Sendable {
    struct SendFailed: Error, CustomStringConvertible {
        let reason: String
        var description: String { "systemd's notification socket: \(self.reason)" }
    }

    /// What goes into `sun_path`.
    private let path: [UInt8]

    /// `nil` when the address is neither a path (`/…`) nor abstract (`@…`), or too long for a socket.
    init?(_ address: String) {
        var bytes = Array(address.utf8)
        guard bytes.count >= 2, bytes.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else { return nil }
        switch bytes[0] {
        case UInt8(ascii: "/"): bytes.append(0)
        // An abstract address begins with a zero byte, and its length counts.
        case UInt8(ascii: "@"): bytes[0] = 0
        default: return nil
        }
        self.path = bytes
    }

    /// Never blocks: a service manager that does not read is told later.
    func send(_ message: String) throws(SendFailed) {
        #if canImport(Darwin) || canImport(Musl)
        let type = SOCK_DGRAM
        #else
        let type = Int32(SOCK_DGRAM.rawValue)
        #endif
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw Self.failed() }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: self.path) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + self.path.count)
        let bytes = Array(message.utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT), pointer, length)
            }
        }
        guard sent == bytes.count else { throw Self.failed() }
    }

    private static func failed() -> SendFailed { SendFailed(reason: String(cString: strerror(errno))) }
}
