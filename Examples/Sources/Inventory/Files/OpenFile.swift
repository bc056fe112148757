// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A file that is read from its beginning to its end, in pieces: however large it is, it takes little memory.
struct OpenFile: ~Copyable {
    private static let chunkSize = 256 << 10

    private let descriptor: CInt
    private let buffer: UnsafeMutableRawBufferPointer
    private let isCancelled: () -> Bool

    /// A symbolic link is not followed: the file may have been replaced by one since it was listed.
    init(_ path: FilePath, isCancelled: @escaping () -> Bool) throws {
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) }
        guard descriptor >= 0 else { throw SystemError.current }
        self.descriptor = descriptor
        self.buffer = .allocate(byteCount: Self.chunkSize, alignment: 16)
        self.isCancelled = isCancelled
    }

    deinit {
        close(self.descriptor)
        self.buffer.deallocate()
    }

    /// The next piece, valid until the next call; `nil` at the end.
    mutating func next() throws -> UnsafeRawBufferPointer? {
        while true {
            if self.isCancelled() { throw CancellationError() }
            let count = read(self.descriptor, self.buffer.baseAddress, self.buffer.count)
            if count > 0 { return UnsafeRawBufferPointer(rebasing: self.buffer[..<count]) }
            if count == 0 { return nil }
            guard errno == EINTR else { throw SystemError.current }
        }
    }
}

extension FilePath {
    /// Reads the file in `body`, away from the threads that Swift's tasks share.
    func read<Result: Sendable>(
        _ body: @escaping @Sendable (inout OpenFile) throws -> Result
    ) async throws -> Result {
        try await BlockingWork.run { isCancelled in
            var file = try OpenFile(self, isCancelled: isCancelled)
            return try body(&file)
        }
    }

    /// The absolute path without symbolic links.
    func canonical() throws(SystemError) -> FilePath {
        guard let resolved = self.withCString({ realpath($0, nil) }) else { throw SystemError.current }
        defer { free(resolved) }
        return FilePath(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
    }
}

/// What the kernel refused.
struct SystemError: Error, CustomStringConvertible {
    let code: CInt

    static var current: SystemError { SystemError(code: errno) }

    var description: String { String(cString: strerror(self.code)) }
}

extension UnsafeRawBufferPointer {
    /// How often a byte occurs.
    func count(of byte: UInt8) -> Int {
        guard let base = self.baseAddress else { return 0 }
        var count = 0
        var start = 0
        while start < self.count, let found = memchr(base + start, CInt(byte), self.count - start) {
            count += 1
            start = UnsafeRawPointer(found) - base + 1
        }
        return count
    }
}
