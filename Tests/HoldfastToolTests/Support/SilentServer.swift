// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A port that takes connections and never says a word.
struct SilentServer: Sendable {
    let port: UInt16
    private let descriptor: Int32

    struct Failed: Error {}

    init() throws {
        #if canImport(Darwin) || canImport(Musl)
        let type = SOCK_STREAM
        #else
        let type = Int32(SOCK_STREAM.rawValue)
        #endif
        let descriptor = socket(AF_INET, type, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isListening else { throw Failed() }
        self.port = UInt16(bigEndian: address.sin_port)
        self.descriptor = descriptor
    }

    func close() { _ = shutdown(self.descriptor, Int32(SHUT_RDWR)) }
}
