// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Whether and how text is coloured.
struct Style: Sendable {
    enum Color: Int, Sendable {
        case bold = 1
        case faint = 2
        case red = 31
        case green = 32
        case yellow = 33
        case cyan = 36
    }

    var isColored: Bool

    func paint(_ text: String, _ color: Color?) -> String {
        guard self.isColored, let color, !text.isEmpty else { return text }
        return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
    }
}

enum Printable {
    /// One line that can do nothing to a terminal: names and payloads come from anywhere, control characters too.
    static func line(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: self.isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where self.isControl(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Controls, and the marks that reverse the direction of what follows.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The beginning of a text that is too long for a table.
    static func elided(_ text: String, to limit: Int) -> String {
        text.count <= limit ? text : text.prefix(limit - 1) + "…"
    }

    /// How many columns a terminal takes for a line.
    static func width(_ text: String) -> Int {
        text.reduce(0) { width, character in width + (self.isWide(character) ? 2 : 1) }
    }

    /// Chinese, Japanese, Korean, full-width forms, and pictures.
    private static func isWide(_ character: Character) -> Bool {
        guard let scalar = character.unicodeScalars.first, scalar.value >= 0x1100 else { return false }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1FAFF,
            0x20000...0x3FFFD:
            return true
        default: return false
        }
    }
}
