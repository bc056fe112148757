// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The regular files below a directory, in the order of their paths' bytes. Symbolic links are not followed.
struct Listing: Codable {
    var files: [FilePath] = []
    /// What cannot be read.
    var problems: [Problem] = []
    /// How many readable files the limit left out.
    var leftOut = 0

    /// - Throws: ``SystemError`` when the directory itself cannot be read; trouble further down is a problem.
    init(of directory: FilePath, limit: Int? = nil) async throws {
        self = try await BlockingWork.run { isCancelled in
            var listing = Listing()
            try listing.walk(directory, isCancelled)
            listing.files.sort()
            listing.problems.sort { $0.path < $1.path }
            if let limit, listing.files.count > limit {
                listing.leftOut = listing.files.count - limit
                listing.files.removeLast(listing.leftOut)
            }
            return listing
        }
    }

    private init() {}

    private mutating func walk(_ root: FilePath, _ isCancelled: () -> Bool) throws {
        var directories = [root]
        while let directory = directories.popLast() {
            if isCancelled() { throw CancellationError() }
            let entries: [FilePath]
            do {
                entries = try Self.entries(of: directory)
            } catch {
                if directory == root { throw error }
                self.problems.append(Problem(path: directory, reason: error.description))
                continue
            }
            for path in entries {
                do throws(SystemError) {
                    switch try Self.kind(of: path) {
                    case S_IFDIR: directories.append(path)
                    case S_IFREG:
                        try Self.checkReadable(path)
                        self.files.append(path)
                    default: break
                    }
                } catch {
                    self.problems.append(Problem(path: path, reason: error.description))
                }
            }
        }
    }

    private static func entries(of directory: FilePath) throws(SystemError) -> [FilePath] {
        guard let stream = directory.withCString({ opendir($0) }) else { throw SystemError.current }
        defer { closedir(stream) }
        var entries: [FilePath] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            // The record ends with the name, so it may be shorter than the type: only its bytes may be touched.
            let name = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
            let bytes = UnsafeRawBufferPointer(
                start: name,
                count: strlen(name.assumingMemoryBound(to: CChar.self))
            )
            let isDots = bytes.count <= 2 && bytes.allSatisfy { $0 == UInt8(ascii: ".") }
            if !isDots { entries.append(directory.appending(bytes)) }
        }
        guard errno == 0 else { throw SystemError.current }
        return entries
    }

    private static func kind(of path: FilePath) throws(SystemError) -> mode_t {
        var status = stat()
        guard path.withCString({ lstat($0, &status) }) == 0 else { throw SystemError.current }
        return status.st_mode & S_IFMT
    }

    private static func checkReadable(_ path: FilePath) throws(SystemError) {
        guard path.withCString({ access($0, R_OK) }) == 0 else { throw SystemError.current }
    }
}
