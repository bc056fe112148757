// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What a scan found: the result of its workflow.
struct ScanReport: Codable {
    var directory: FilePath
    var fileCount = 0
    var bytes = 0
    var lines = 0
    /// How many files the scan's limit left out.
    var leftOut: Int
    /// In the order of the paths' bytes.
    var files: [FileRecord] = []
    var problems: [Problem]

    init(directory: FilePath, listing: Listing) {
        self.directory = directory
        self.leftOut = listing.leftOut
        self.problems = listing.problems
    }

    mutating func add(_ batch: FileBatch) {
        self.files += batch.files
        self.problems += batch.problems
        self.fileCount += batch.files.count
        self.bytes += batch.files.reduce(0) { $0 + $1.bytes }
        self.lines += batch.files.reduce(0) { $0 + $1.lines }
    }
}

/// One file of the report.
struct FileRecord: Codable {
    var path: FilePath
    var bytes: Int
    var lines: Int
    var sha256: String
}

/// Why something is missing from the report.
struct Problem: Codable {
    var path: FilePath
    var reason: String
}
