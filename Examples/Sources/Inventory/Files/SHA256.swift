// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibCrypto

/// A SHA-256 that is computed piece by piece.
struct SHA256: ~Copyable {
    private let context: OpaquePointer

    init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            preconditionFailure("libcrypto cannot compute SHA-256 here")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(self.context) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let isUpdated = EVP_DigestUpdate(self.context, bytes.baseAddress, bytes.count) == 1
        precondition(isUpdated, "libcrypto cannot compute SHA-256 here")
    }

    /// The digest of what was added, in hexadecimal. It ends the computation.
    consuming func finish() -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        let isFinished = EVP_DigestFinal_ex(self.context, &digest, nil) == 1
        precondition(isFinished, "libcrypto cannot compute SHA-256 here")
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
