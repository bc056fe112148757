// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Turns text into a document, strictly by RFC 8259.
///
/// Works without recursion: the open containers are linked through their own nodes.
struct JSONParser {
    /// Deeper documents are refused, and deeper values are not written: reading them back recurses once per level,
    /// and hostile input must not be able to exhaust the stack of a worker thread. Optimized, a level of a recursive
    /// type takes about 1.2 KiB, and worker threads have as little as 512 KiB on macOS.
    static let maximumDepth = 256

    private let bytes: [UInt8]
    private let end: Int
    private var nodes: [JSONNode] = []
    private var position = 0
    private var depth = 0

    static func document(of text: String) throws(PortableJSONError) -> JSONDocument {
        var parser = try JSONParser(text)
        try parser.run()
        return JSONDocument(bytes: parser.bytes, nodes: parser.nodes)
    }

    private init(_ text: String) throws(PortableJSONError) {
        var text = text
        bytes = text.withUTF8 { source in
            [UInt8](unsafeUninitializedCapacity: source.count + 1) { target, count in
                _ = target.initialize(fromContentsOf: source)
                target.initializeElement(at: source.count, to: 0)
                count = source.count + 1
            }
        }
        end = bytes.count - 1
        guard end < Int(Int32.max) else {
            throw PortableJSONError(kind: .invalidJSON, message: "text is longer than 2 GiB", byteOffset: 0)
        }
        nodes.reserveCapacity(end / 10 + 4)
    }

    private mutating func run() throws(PortableJSONError) {
        var container: Int32 = -1
        skipBlanks()
        while true {
            if try readValue(in: &container) { continue }
            if try !leaveValue(in: &container) { break }
        }
        guard position == end else { throw failure("expected the end of the text") }
    }

    /// Reads a scalar or an empty container as a whole, or opens a container and stops before its first value;
    /// true in the latter case.
    private mutating func readValue(in container: inout Int32) throws(PortableJSONError) -> Bool {
        switch bytes[position] {
        case UInt8(ascii: "\""):
            try readString()
        case UInt8(ascii: "{"):
            try open(.object, in: &container)
            guard bytes[position] == UInt8(ascii: "}") else {
                try readKey()
                return true
            }
            close(&container)
        case UInt8(ascii: "["):
            try open(.array, in: &container)
            guard bytes[position] == UInt8(ascii: "]") else { return true }
            close(&container)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try readNumber()
        case UInt8(ascii: "t"):
            try readWord("true", .true)
        case UInt8(ascii: "f"):
            try readWord("false", .false)
        case UInt8(ascii: "n"):
            try readWord("null", .null)
        default:
            throw failure("expected a value")
        }
        return false
    }

    /// Goes from a finished value to the next one, closing what ends here; false at the end of the document.
    private mutating func leaveValue(in container: inout Int32) throws(PortableJSONError) -> Bool {
        while true {
            skipBlanks()
            guard container >= 0 else { return false }
            nodes[Int(container)].extent += 1
            let isObject = nodes[Int(container)].kind == .object
            switch bytes[position] {
            case UInt8(ascii: ","):
                position += 1
                skipBlanks()
                if isObject { try readKey() }
                return true
            case UInt8(ascii: "}") where isObject, UInt8(ascii: "]") where !isObject:
                close(&container)
            default:
                throw failure(isObject ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"")
            }
        }
    }

    private mutating func open(_ kind: JSONNode.Kind, in container: inout Int32) throws(PortableJSONError) {
        guard depth < Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth) levels") }
        depth += 1
        nodes.append(JSONNode(kind: kind, start: Int32(position), extent: 0, next: container))
        container = Int32(nodes.count - 1)
        position += 1
        skipBlanks()
    }

    private mutating func close(_ container: inout Int32) {
        depth -= 1
        let parent = nodes[Int(container)].next
        nodes[Int(container)].next = Int32(nodes.count)
        container = parent
        position += 1
    }

    private mutating func skipBlanks() {
        while true {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private func failure(_ message: String) -> PortableJSONError {
        failure(message, at: position)
    }

    private func failure(_ message: String, at offset: Int) -> PortableJSONError {
        let found = offset < end ? "" : ", found the end of the text"
        return PortableJSONError(kind: .invalidJSON, message: message + found, byteOffset: offset)
    }
}

// MARK: - Scalars

extension JSONParser {
    private mutating func append(_ kind: JSONNode.Kind, from start: Int, to end: Int) {
        nodes.append(JSONNode(kind: kind, start: Int32(start), extent: Int32(end), next: Int32(nodes.count + 1)))
    }

    private mutating func readKey() throws(PortableJSONError) {
        guard bytes[position] == UInt8(ascii: "\"") else { throw failure("expected a key in quotes") }
        try readString()
        skipBlanks()
        guard bytes[position] == UInt8(ascii: ":") else { throw failure("expected \":\"") }
        position += 1
        skipBlanks()
    }

    private mutating func readWord(_ word: StaticString, _ kind: JSONNode.Kind) throws(PortableJSONError) {
        let start = position
        for offset in 0..<word.utf8CodeUnitCount {
            // The zero byte behind the text differs from every letter, so that this cannot run over it.
            guard bytes[start + offset] == word.utf8Start[offset] else { throw failure("expected \(word)", at: start) }
        }
        position += word.utf8CodeUnitCount
        append(kind, from: start, to: position)
    }

    private mutating func readNumber() throws(PortableJSONError) {
        let start = position
        var kind = JSONNode.Kind.integer
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        if bytes[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try skipDigits()
        }
        if bytes[position] == UInt8(ascii: ".") {
            kind = .number
            position += 1
            try skipDigits()
        }
        if bytes[position] | 0x20 == UInt8(ascii: "e") {
            kind = .number
            position += 1
            if bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
            try skipDigits()
        }
        append(kind, from: start, to: position)
    }

    private mutating func skipDigits() throws(PortableJSONError) {
        let start = position
        while bytes[position] &- UInt8(ascii: "0") <= 9 { position += 1 }
        guard position > start else { throw failure("expected a digit") }
    }

    private mutating func readString() throws(PortableJSONError) {
        let start = position + 1
        var index = start
        var kind = JSONNode.Kind.string
        while true {
            index = endOfPlainText(from: index)
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                kind = .escapedString
                index = try endOfEscape(at: index)
            } else {
                throw failure(index < end ? "control character in a string" : "unterminated string", at: index)
            }
        }
        append(kind, from: start, to: index)
        position = index + 1
    }

    /// The next quote, backslash or control character; at the latest the zero byte behind the text.
    private func endOfPlainText(from start: Int) -> Int {
        bytes.withUnsafeBufferPointer { $0.endOfPlainText(from: start) }
    }

    /// Surrogates must come in pairs; half a pair stands for no character and has no UTF-8 form.
    private func endOfEscape(at index: Int) throws(PortableJSONError) -> Int {
        switch bytes[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return index + 2
        case UInt8(ascii: "u"):
            let code = try codeUnit(at: index)
            if (0xD800..<0xDC00).contains(code) {
                guard
                    bytes[index + 6] == UInt8(ascii: "\\"), bytes[index + 7] == UInt8(ascii: "u"),
                    (0xDC00..<0xE000).contains(try codeUnit(at: index + 6))
                else { throw failure("unpaired surrogate", at: index) }
                return index + 12
            }
            guard !(0xDC00..<0xE000).contains(code) else { throw failure("unpaired surrogate", at: index) }
            return index + 6
        default:
            throw failure("unknown escape", at: index)
        }
    }

    private func codeUnit(at index: Int) throws(PortableJSONError) -> UInt32 {
        var code: UInt32 = 0
        for offset in 2..<6 {
            guard let digit = hexadecimalValue(of: bytes[index + offset]) else {
                throw failure("expected four hexadecimal digits", at: index)
            }
            code = code << 4 | UInt32(digit)
        }
        return code
    }
}
