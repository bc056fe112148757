// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The value rules of portable JSON, from Swift to text and back.
@Suite struct ValueRuleTests {
    @Test func scalarsBothWays() throws {
        try expect("null", Int?.none)
        try expect("true", true)
        try expect("false", false)
        try expect("0", 0)
        try expect("-1", Int8(-1))
        try expect("1152921504606846976", 1 << 60)
        try expect("9223372036854775807", Int.max)
        try expect("-9223372036854775808", Int64.min)
        try expect("18446744073709551615", UInt64.max)
        try expect("-128", Int8.min)
        try expect("255", UInt8.max)
        try expect("-32768", Int16.min)
        try expect("65535", UInt16.max)
        try expect("-2147483648", Int32.min)
        try expect("4294967295", UInt32.max)
        try expect("18446744073709551615", UInt.max)
        try expect("-170141183460469231731687303715884105728", Int128.min)
        try expect("340282366920938463463374607431768211455", UInt128.max)
        try expect("1.0", 1.0)
        try expect("-0.0", -0.0)
        try expect("0.1", 0.1)
        try expect("0.1", Float(0.1))
        try expect("1e+16", 1e16)
        try expect("5e-324", Double.leastNonzeroMagnitude)
        try expect("1.7976931348623157e+308", Double.greatestFiniteMagnitude)
        try expect("3.4028235e+38", Float.greatestFiniteMagnitude)
    }

    @Test func stringsBothWays() throws {
        try expect(#""""#, "")
        try expect(#""a/b""#, "a/b")
        try expect(#""é😀 日本""#, "é😀 日本")
        try expect(#""\"\\\n\r\t\b\f""#, "\"\\\n\r\t\u{8}\u{C}")
        try expect(#""\u0001\u001f""#, "\u{1}\u{1F}")
        try expect("\"\u{7F}\u{2028}\u{FFFF}\u{10FFFF}\"", "\u{7F}\u{2028}\u{FFFF}\u{10FFFF}")
        try expect("\"e\u{301}\"", "e\u{301}")
    }

    @Test func valuesOfFoundation() throws {
        try expect(#""2025-06-15T10:30:00.000Z""#, Date(timeIntervalSince1970: 1_749_983_400))
        try expect(#""1970-01-01T00:00:00.000Z""#, Date(timeIntervalSince1970: 0))
        try expect(#""1969-12-31T23:59:59.999Z""#, Date(timeIntervalSinceReferenceDate: -978_307_200.001))
        try expect(#""0000-12-30T00:00:00.000Z""#, Date.distantPast)
        try expect(#""4001-01-01T00:00:00.000Z""#, Date.distantFuture)
        try expect(#""1.5""#, try #require(Decimal(string: "1.50")))
        try expect(#""-0.000001""#, try #require(Decimal(string: "-1e-6")))
        try expect("\"1\(String(repeating: "0", count: 30))\"", try #require(Decimal(string: "1e30")))
        try expect(#""AAH/""#, Data([0, 1, 255]))
        try expect(#""""#, Data())
        let uuid = "e621e1f8-c36c-495a-93fc-0c247a3e6e5f"
        try expect("\"\(uuid)\"", try #require(UUID(uuidString: uuid)))
        #expect(try PortableJSON.decode(UUID.self, from: "\"\(uuid.uppercased())\"") == UUID(uuidString: uuid))
        try expect(#""https://example.org/a?b=c""#, try #require(URL(string: "https://example.org/a?b=c")))
    }

    @Test func collectionsBothWays() throws {
        try expect("[]", [Int]())
        try expect("[1,null,3]", [1, nil, 3] as [Int?])
        try expect("[[],[[1]]]", [[], [[1]]] as [[[Int]]])
        try expect("{}", [String: Int]())
        try expect(#"{"a\"b":1}"#, ["a\"b": 1])
        try expect(#"{"1":"one"}"#, [1: "one"])
        try expect("[1.5,2]", [1.5: 2])
        try expect("[7]", Set([7]))
        try expect(#"{"k":["2025-06-15T10:30:00.000Z"]}"#, ["k": [Date(timeIntervalSince1970: 1_749_983_400)]])
        try expect(#"[1,"AAH/"]"#, [1: Data([0, 1, 255])].map { Pair(first: $0.key, second: $0.value) }[0])
    }

    @Test func milliseconds() throws {
        let text = try PortableJSON.encode(Date(timeIntervalSinceReferenceDate: 0.9996))
        #expect(text == #""2001-01-01T00:00:01.000Z""#)
        // Written again, a date that was read gives the same text, whatever its binary fraction.
        for millisecond in 0..<1000 {
            let digits = String(1000 + millisecond).dropFirst()
            try expectStable("\"2038-01-19T03:14:07.\(digits)Z\"", as: Date.self)
            try expectStable("\"1893-11-30T23:59:59.\(digits)Z\"", as: Date.self)
        }
    }

    @Test(arguments: [
        "2025-06-15T10:30:00Z", "2025-06-15t10:30:00z", "2025-06-15 10:30:00Z", "2025-06-15T10:30:00",
        "2025-06-15T10:30:00.0Z", "2025-06-15T10:30:00.000000000Z", "2025-06-15T10:30:00.0000000000001Z",
        "2025-06-15T12:30:00+02:00", "2025-06-15T05:00:00-05:30", "2025-06-15T10:30:00-00:00",
        "2025-06-15T12:30:00+02", "2025-06-15T12:30:00.000+0200", "2025-06-15T10:29:60Z",
    ])
    func formsOfDates(text: String) throws {
        let date = try PortableJSON.decode(Date.self, from: "\"\(text)\"")
        #expect(date == Date(timeIntervalSince1970: 1_749_983_400))
    }

    @Test func moreFormsOfDates() throws {
        let day = try PortableJSON.decode(Date.self, from: #""2025-06-15""#)
        #expect(day == Date(timeIntervalSince1970: 1_749_945_600))
        let nanoseconds = try PortableJSON.decode(Date.self, from: #""2001-01-01T00:00:00.123456789Z""#)
        #expect(nanoseconds == Date(timeIntervalSinceReferenceDate: 0.123456789))
        let leapDay = try PortableJSON.decode(Date.self, from: #""2000-02-29T00:00:00Z""#)
        #expect(leapDay == Date(timeIntervalSince1970: 951_782_400))
    }

    @Test(arguments: [
        "", "now", "2025-06-15T", "2025-13-01", "2025-00-01", "2025-02-29", "2100-02-29", "2025-04-31", "25-06-15",
        "2025-06-15T24:00:00Z", "2025-06-15T10:60:00Z", "2025-06-15T10:30:61Z", "2025-06-15T10:30Z",
        "2025-06-15T10:30:00.Z", "2025-06-15T10:30:00,5Z", "2025-06-15T10:30:00+24:00", "2025-06-15T10:30:00Zjunk",
        "2025-06-15T10:30:00+02:0", " 2025-06-15", "2025-6-15", "２025-06-15",
    ])
    func notDates(text: String) {
        let error = #expect(throws: PortableJSONError.self) {
            try PortableJSON.decode([String: Date].self, from: "{\"at\":\"\(text)\"}")
        }
        #expect(error?.kind == .invalidValue)
        #expect(error?.path == "at")
    }

    private func expect<T: Codable & Equatable>(_ text: String, _ value: T) throws {
        #expect(try PortableJSON.encode(value) == text)
        #expect(try PortableJSON.decode(T.self, from: text) == value)
        let tree = try PortableJSON.parse(text)
        #expect(PortableJSON.text(of: tree) == text)
        #expect(try PortableJSON.decode(T.self, from: tree) == value)
        // The same inside a container, where other methods of the coders are at work.
        let boxed = Box(value: value)
        let boxedText = "{\"value\":\(text)}"
        #expect(try PortableJSON.encode(boxed) == boxedText)
        #expect(try PortableJSON.decode(Box<T>.self, from: boxedText) == boxed)
        #expect(try PortableJSON.encode([value, value]) == "[\(text),\(text)]")
        #expect(try PortableJSON.decode([T].self, from: " [ \(text) , \(text) ] ") == [value, value])
    }

    private func expectStable<T: Codable>(_ text: String, as type: T.Type) throws {
        #expect(try PortableJSON.encode(PortableJSON.decode(type, from: text)) == text)
    }
}

private struct Box<Value: Codable & Equatable>: Codable, Equatable {
    var value: Value
}

private struct Pair: Codable, Equatable {
    var first: Int
    var second: Data

    init(first: Int, second: Data) {
        self.first = first
        self.second = second
    }

    init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        first = try container.decode(Int.self)
        second = try container.decode(Data.self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode(first)
        try container.encode(second)
    }
}
