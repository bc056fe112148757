// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

/// Text that is not JSON fails with a place, whatever it is, and never crashes.
@Suite struct MalformedTextTests {
    static let document = """
        {"text":"a\\"\\u00e9\\ud83d\\ude00é😀","list":[1,-2.5e+3,true,false,null,[],{}],"nested":{"k":{"k":[["x"]]}},"n":0.125}
        """

    @Test(arguments: [
        ("", 0), (" ", 1), ("nul", 0), ("nulL", 0), ("tru", 0), ("True", 0), ("undefined", 0), ("NaN", 0),
        ("-", 1), ("+1", 0), ("01", 1), ("-01", 2), ("1.", 2), (".5", 0), ("1e", 2), ("1e+", 3), ("0x10", 1),
        ("1 2", 2), ("[1,]", 3), ("[,1]", 1), ("[1 2]", 3), ("[1", 2), ("]", 0), ("[1}", 2),
        ("{", 1), ("{,}", 1), (#"{"a"}"#, 4), (#"{"a":}"#, 5), (#"{"a":1,}"#, 7), (#"{a:1}"#, 1), (#"{"a":1]"#, 6),
        (#"{1:1}"#, 1), (#"{"a" 1}"#, 5), ("'a'", 0), (#""a"#, 2), (#""\x""#, 1), (#""\"#, 1), (#""\u12"#, 1),
        (#""\u12g4""#, 1), (#""\ud800""#, 1), (#""\ud800\n""#, 1), (#""\ud800\u0041""#, 1), (#""\udc00""#, 1),
        (#""\ud800\ud800""#, 1), ("\"a\nb\"", 2), ("\"\u{0}\"", 1), ("\u{0}", 0), ("1\u{0}", 1), ("\u{FEFF}1", 0),
        ("\u{A0}1", 0), ("[1] // no", 4), ("__DBOS_NIL", 0),
    ])
    func table(text: String, offset: Int) {
        let error = #expect(throws: PortableJSONError.self) { try PortableJSON.parse(text) }
        #expect(error?.kind == .invalidJSON)
        #expect(error?.byteOffset == offset)
        #expect(error?.description.hasPrefix("invalid JSON at byte \(offset): ") == true)
        #expect(throws: PortableJSONError.self) { try PortableJSON.decode(JSONValue.self, from: text) }
    }

    @Test func everyTruncation() throws {
        let bytes = Array(Self.document.utf8)
        _ = try PortableJSON.parse(Self.document)
        for count in bytes.indices {
            // Half a character becomes U+FFFD here, as it would in a string from anywhere else.
            let text = String(decoding: bytes[..<count], as: UTF8.self)
            let error = #expect(throws: PortableJSONError.self) { try PortableJSON.parse(text) }
            #expect(error?.kind == .invalidJSON)
        }
    }

    @Test func randomMutations() throws {
        var generator = SeededGenerator(seed: 20_250_615)
        let original = Array(Self.document.utf8)
        let structural = Array(#"{}[]",:\/eE+-.0123456789 tfnu"#.utf8)
        var validCount = 0
        for _ in 0..<5000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes[place] = structural[Int.random(in: structural.indices, using: &generator)]
                case 2: bytes.remove(at: place)
                default: bytes.insert(structural[Int.random(in: structural.indices, using: &generator)], at: place)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let value = try? PortableJSON.parse(text) else { continue }
            validCount += 1
            #expect(try PortableJSON.parse(PortableJSON.text(of: value)) == value)
            _ = try? PortableJSON.decode(Loose.self, from: text)
        }
        #expect(validCount > 100)
    }

    @Test func depth() throws {
        let fits = String(repeating: "[", count: 256) + String(repeating: "]", count: 256)
        #expect(PortableJSON.text(of: try PortableJSON.parse(fits)) == fits)
        #expect(try PortableJSON.encode(PortableJSON.decode(Nested.self, from: fits)) == fits)
        for hostile in ["[", "{\"a\":", "[{\"a\":"] {
            let error = #expect(throws: PortableJSONError.self) {
                try PortableJSON.parse(String(repeating: hostile, count: 1_000_000))
            }
            #expect(error?.message.contains("nested deeper than 256 levels") == true)
        }
    }

    /// What could not be read back is not written.
    @Test func depthOnWrite() throws {
        var value = Nested(list: [])
        for _ in 1..<256 { value = Nested(list: [value]) }
        let text = try PortableJSON.encode(value)
        #expect(try PortableJSON.decode(Nested.self, from: text) == value)
        let inside = #expect(throws: PortableJSONError.self) { try PortableArguments.encode(single: value) }
        #expect(inside?.kind == .unencodable)
        value = Nested(list: [value])
        #expect(throws: PortableJSONError.self) { try PortableJSON.encode(value) }
        let tree = JSONValue.array([try PortableJSON.parse(text)])
        #expect(throws: PortableJSONError.self) { try PortableJSON.encode(tree) }
        #expect(throws: PortableJSONError.self) { try PortableJSON.encode(Endless()) }
    }
}

private struct Loose: Codable {
    var text: String?
    var list: [JSONValue]?
    var nested: [String: [String: [[String]]]]?
    var n: Double?
}

private struct Nested: Codable, Equatable {
    var list: [Nested]

    init(list: [Nested]) {
        self.list = list
    }

    init(from decoder: any Decoder) throws {
        list = try [Nested](from: decoder)
    }

    func encode(to encoder: any Encoder) throws {
        try list.encode(to: encoder)
    }
}

private struct Endless: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: AnyKey.self)
        try container.encode(Endless(), forKey: "next")
    }
}
