// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// Looks at one file. Each step reads the file and records only what it found, never the content.
struct FileWorkflow: Workflow {
    static let name: WorkflowName = "inventory.file"

    func run(_ path: FilePath, context: WorkflowContext) async throws -> FileRecord {
        let sha256 = try await context.step("hash") { _ in
            try await path.read { file in
                var hash = SHA256()
                while let chunk = try file.next() { hash.update(chunk) }
                return hash.finish()
            }
        }
        let size = try await context.step("measure") { _ in
            try await path.read { file in
                var size = FileSize()
                while let chunk = try file.next() { size.add(chunk) }
                return size
            }
        }
        return FileRecord(path: path, bytes: size.bytes, lines: size.lines, sha256: sha256)
    }
}

/// How large a file is.
struct FileSize: Codable {
    var bytes = 0
    /// The number of line feeds, as `wc -l` counts.
    var lines = 0

    mutating func add(_ chunk: UnsafeRawBufferPointer) {
        self.bytes += chunk.count
        self.lines += chunk.count(of: UInt8(ascii: "\n"))
    }
}
