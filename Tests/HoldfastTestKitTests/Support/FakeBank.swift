// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Synchronization

/// Charges once for each key, as banks do.
final class FakeBank: Sendable {
    private let accounts = Mutex<[String: Int]>([:])

    var charges: [String: Int] { self.accounts.withLock { $0 } }

    func charge(_ amount: Int, idempotencyKey: String) {
        self.accounts.withLock { $0[idempotencyKey] = amount }
    }
}
