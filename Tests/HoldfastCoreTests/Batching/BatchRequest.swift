// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

struct BatchRequest: Batchable, Equatable, CustomStringConvertible {
    var number: Int
    var exclusionKey: String?
    var byteCount: Int

    init(_ number: Int, key exclusionKey: String? = nil, bytes byteCount: Int = 1) {
        self.number = number
        self.exclusionKey = exclusionKey
        self.byteCount = byteCount
    }

    var description: String { "\(self.number)\(self.exclusionKey.map { " (\($0))" } ?? "")" }
}
