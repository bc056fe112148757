// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Testing

@testable import HoldfastPostgres

@Suite("A handle on a session's socket")
struct SocketHandleTests {
    private static func pair() throws -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        #if canImport(Glibc)
        let type = Int32(SOCK_STREAM.rawValue)
        #else
        let type = SOCK_STREAM
        #endif
        try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
        return (ends[0], ends[1])
    }

    private static func carries(_ pair: (Int32, Int32)) -> Bool {
        var byte: UInt8 = 7
        guard write(pair.0, &byte, 1) == 1 else { return false }
        return read(pair.1, &byte, 1) == 1
    }

    @Test("means the connection and no other, also when libpq has closed its descriptor and the number is given anew")
    func closedBySomebodyElse() throws {
        let session = try Self.pair()
        let handle = try SocketHandle(duplicating: session.0)
        close(session.0)
        let other = try Self.pair()
        handle.shutDown()
        #expect(Self.carries(other))
        var byte: UInt8 = 0
        #expect(read(session.1, &byte, 1) == 0, "the end of the connection")
        for descriptor in [session.1, other.0, other.1] { close(descriptor) }
    }

    @Test("means nothing once it is closed")
    func closed() throws {
        let session = try Self.pair()
        let handle = try SocketHandle(duplicating: session.0)
        handle.close()
        handle.close()
        let other = try Self.pair()
        handle.shutDown()
        #expect(Self.carries(session) && Self.carries(other))
        for descriptor in [session.0, session.1, other.0, other.1] { close(descriptor) }
    }
}
