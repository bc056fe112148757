// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension ScanReport {
    /// The totals and the problems, for people.
    var summary: String {
        var text = "\(self.directory): \(self.fileCount) files, \(self.bytes) bytes, \(self.lines) lines\n"
        if self.leftOut > 0 { text += "left out by the limit: \(self.leftOut) files\n" }
        for problem in self.problems { text += "not read: \(problem.path): \(problem.reason)\n" }
        return text
    }

    /// What `sha256sum` prints for the same files, byte for byte.
    var sha256sum: [UInt8] {
        var text: [UInt8] = []
        for file in self.files {
            let name = file.path.bytes
            let escaped = name.flatMap { byte in Self.escapes[byte] ?? [byte] }
            // A backslash before the sum announces a name with escapes.
            if escaped.count != name.count { text.append(UInt8(ascii: "\\")) }
            text += Array(file.sha256.utf8) + Array("  ".utf8) + escaped + Array("\n".utf8)
        }
        return text
    }

    private static let escapes: [UInt8: [UInt8]] = [
        UInt8(ascii: "\\"): Array("\\\\".utf8),
        UInt8(ascii: "\n"): Array("\\n".utf8),
        UInt8(ascii: "\r"): Array("\\r".utf8),
    ]
}
