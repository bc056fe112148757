// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

/// Asks the server to cancel what a connection runs, without touching that connection.
///
/// `@unchecked`: a `PGcancel` is a copy of the address and key, and libpq documents that `PQcancel` may run in any thread.
final class CancelHandle: @unchecked Sendable {
    private let pointer: OpaquePointer

    init?(_ connection: OpaquePointer) {
        guard let pointer = PQgetCancel(connection) else { return nil }
        self.pointer = pointer
    }

    deinit {
        PQfreeCancel(pointer)
    }

    /// Blocks until the server has passed the request on; `nil` then, otherwise the reason why it could not be sent.
    func send() -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            buffer.initialize(repeating: 0)
            guard PQcancel(pointer, buffer.baseAddress, Int32(buffer.count)) == 0 else { return nil }
            return trimmed(buffer.baseAddress)
        }
    }
}
