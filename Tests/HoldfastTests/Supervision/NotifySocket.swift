// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// systemd's end of the notification protocol: a datagram socket at a path, or abstract (`@…`).
final class NotifySocket: Sendable {
    let address: String
    private let descriptor: Int32

    init(_ address: String) throws {
        #if canImport(Glibc)
        let type = Int32(SOCK_DGRAM.rawValue)
        #else
        let type = SOCK_DGRAM
        #endif
        self.address = address
        self.descriptor = socket(AF_UNIX, type, 0)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(address.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 } else { bytes.append(0) }
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + bytes.count)
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(self.descriptor, $0, length) }
        }
        try #require(result == 0, "bind: \(String(cString: strerror(errno)))")
    }

    deinit { close(self.descriptor) }

    /// The next message's lines; the limit is for hangs only.
    func next(within limit: Duration = .seconds(60)) async throws -> [String] {
        let end = ContinuousClock.now.advanced(by: limit)
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(self.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count >= 0 {
                return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
            }
            guard ContinuousClock.now < end else {
                Issue.record("nothing was said to systemd")
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// The lines of the first message that has `line`.
    func until(_ line: String) async throws -> [String] {
        while true {
            let lines = try await self.next()
            if lines.contains(line) { return lines }
        }
    }
}
