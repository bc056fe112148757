// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A name for the code that runs: the same image has the same name wherever it runs, another build has another.
enum ExecutableDigest {
    /// It tells builds apart and is no protection against forgery, so a fast 64-bit mix of the file is enough.
    static func ofThisProcess() throws(HoldfastError) -> String {
        let path = "/proc/self/exe"
        let fallback = CommandLine.arguments.first ?? ""
        guard
            let image = (try? Data(contentsOf: URL(filePath: path), options: .mappedIfSafe))
                ?? (try? Data(contentsOf: URL(filePath: fallback), options: .mappedIfSafe))
        else {
            throw HoldfastError(
                .invalidConfiguration,
                "applicationVersion is not given and the executable '\(fallback)' cannot be read; give a version"
            )
        }
        let digest = String(Self.mix(image), radix: 16)
        return "build-" + String(repeating: "0", count: 16 - digest.count) + digest
    }

    /// Multiplies and folds eight bytes at a time; the constants are those of FNV-1a and of SplitMix64.
    static func mix(_ data: Data) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(data.count)
        data.withUnsafeBytes { bytes in
            let words = bytes.count / 8
            for index in 0..<words {
                let word = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
                hash = (hash ^ UInt64(littleEndian: word)) &* 0xbf58_476d_1ce4_e5b9
                hash ^= hash >> 29
            }
            for index in (words * 8)..<bytes.count { hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3 }
        }
        return hash
    }
}
