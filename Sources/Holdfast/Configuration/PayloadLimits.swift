// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How large what is stored may be.
public struct PayloadLimits: Sendable, Hashable {
    /// The largest input, result or error, in bytes of JSON. Default: 4 MiB; Postgres takes 1 GiB, but every recovery reads
    /// it again.
    public var maxBytes: Int

    /// Makes limits.
    public init(maxBytes: Int = 4 << 20) { self.maxBytes = maxBytes }

    func check(_ text: String, of culprit: String) throws(HoldfastError) {
        let count = text.utf8.count
        guard count > self.maxBytes else { return }
        throw HoldfastError(
            .payloadTooLarge,
            "\(culprit): \(count) bytes of JSON are more than the limit of \(self.maxBytes); store the data elsewhere and "
                + "pass a reference, or raise the limit"
        )
    }
}
