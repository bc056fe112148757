// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What is accepted on read beyond what is written, and what is refused in either direction.
@Suite struct ReadingRuleTests {
    @Test func numbers() throws {
        #expect(try PortableJSON.decode(Double.self, from: "42") == 42)
        #expect(try PortableJSON.decode(Double.self, from: "1E2") == 100)
        #expect(try PortableJSON.decode(Double.self, from: "-0") == 0)
        #expect(try PortableJSON.decode(Double.self, from: "-0").sign == .minus)
        #expect(try PortableJSON.decode(Double.self, from: "123456789012345678") == 123456789012345680)
        #expect(try PortableJSON.decode(Double.self, from: "0.30000000000000004") == 0.30000000000000004)
        #expect(try PortableJSON.decode(Double.self, from: "1e-400") == 0)
        #expect(try PortableJSON.decode(Float.self, from: "16777217") == 16777216)
        #expect(try PortableJSON.decode(Int.self, from: "42.0") == 42)
        #expect(try PortableJSON.decode(Int.self, from: "4.2e1") == 42)
        #expect(try PortableJSON.decode(Int.self, from: "4200e-2") == 42)
        #expect(try PortableJSON.decode(Int.self, from: "-0.0e99999999999999999999") == 0)
        // Not by way of Double, which has no room for the last digit.
        #expect(try PortableJSON.decode(Int.self, from: "9223372036854775807.0") == Int.max)
        #expect(try PortableJSON.decode(Int.self, from: "-922337203685477580.8e1") == Int.min)
    }

    static let misfits: [(String, any (Decodable & Sendable).Type)] = [
        ("42.5", Int.self), ("1e19", Int.self), ("9223372036854775808", Int.self), ("-1", UInt.self),
        ("128", Int8.self), ("-129", Int8.self), ("256", UInt8.self), ("1e999999999999", Int128.self),
        ("1e-1", Int.self), ("18446744073709551616", UInt64.self), ("1e400", Double.self), ("1e39", Float.self),
    ]

    @Test(arguments: misfits.indices)
    func numbersThatDoNotFit(index: Int) {
        let (text, type) = Self.misfits[index]
        let error = #expect(throws: PortableJSONError.self) { try decode(type, from: "{\"a\":[\(text)]}") }
        #expect(error?.kind == .invalidValue)
        #expect(error?.path == "a[0]")
        #expect(error?.message.contains("number \(text)") == true)
    }

    @Test func decimals() throws {
        let expected = try #require(Decimal(string: "1.5"))
        for text in ["1.5", "1.50", "\"1.50\"", "\"15e-1\"", "1.5E0"] {
            #expect(try PortableJSON.decode(Decimal.self, from: text) == expected)
        }
        for text in ["\"1.5 \"", "\"\"", "\"1,5\"", "\"NaN\"", "\"0x1\"", "\"1.5abc\"", "1e400", "\"+1\""] {
            #expect(throws: PortableJSONError.self) { try PortableJSON.decode(Decimal.self, from: text) }
        }
        // The exact text decides, not a double in between.
        let exact = try PortableJSON.decode(Decimal.self, from: "0.1234567890123456789012345678901234567")
        #expect(exact.description == "0.1234567890123456789012345678901234567")
    }

    @Test(arguments: ["{}", #"{"name":null}"#, #"{"other":1}"#, #"{"name":null,"nested":null,"generic":null}"#])
    func missingAndNull(text: String) throws {
        #expect(try PortableJSON.decode(Optionals.self, from: text) == Optionals())
        #expect(try PortableJSON.decode(Generic<Int?>.self, from: text) == Generic(value: nil))
        #expect(try PortableJSON.decode(Generic<Int??>.self, from: text) == Generic(value: nil))
    }

    @Test func membersInAnyForm() throws {
        let text = "\r\n\t" + #" { "unknown" : {"name":[1,{}]} , "n\u0061me":"second\u002f\uD83D\ude00" } "#
        #expect(try PortableJSON.decode(Optionals.self, from: text).name == "second/😀")
        let repeated = #"{"name":"first","name":"last"}"#
        #expect(try PortableJSON.decode(Optionals.self, from: repeated).name == "last")
        #expect(try PortableJSON.decode([String: String].self, from: repeated) == ["name": "last"])
        #expect(try PortableJSON.parse(repeated) == ["name": "last"])
    }

    @Test func manyMembers() throws {
        let members = (0..<2000).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        let decoded = try PortableJSON.decode([String: Int].self, from: "{\(members),\"k7\":-7}")
        #expect(decoded.count == 2000)
        #expect(decoded["k7"] == -7)
        #expect(decoded["k1999"] == 1999)
        let collapsed = try PortableJSON.parse("{\(members.replacing(":7,", with: ":-7,"))}")
        #expect(try PortableJSON.parse("{\(members),\"k7\":-7}") == collapsed)
    }

    @Test func keysAreComparedByBytes() throws {
        let object = try PortableJSON.parse("{\"\u{E9}\":1,\"e\u{301}\":2}")
        guard case .object(let object) = object else { throw PortableJSONError(kind: .typeMismatch, message: "") }
        #expect(object.count == 2)
        #expect(object["\u{E9}"] == 1)
        #expect(object["e\u{301}"] == 2)
    }

    @Test func notANumber() {
        for value in [Double.nan, .infinity, -.infinity] {
            expectUnencodable(["a": [value]], path: "a[0]", message: "has no JSON form")
            expectUnencodable(["a": [Float(value)]], path: "a[0]", message: "has no JSON form")
            expectUnencodable(value, path: "", message: "has no JSON form")
        }
        expectUnencodable(["a": Decimal.nan], path: "a", message: "has no JSON form")
    }

    @Test func zeroCharacters() throws {
        expectUnencodable(["a": "b\u{0}c"], path: "a", message: "U+0000")
        expectUnencodable(["a\u{0}": 1], path: #"["a\u0000"]"#, message: "U+0000")
        expectUnencodable(["a": JSONValue.array(["\u{0}"])], path: "a", message: "U+0000")
        #expect(try PortableJSON.decode(String.self, from: #""a\u0000""#) == "a\u{0}")
        #expect(PortableJSON.text(of: "a\u{0}") == #""a\u0000""#)
    }

    @Test func datesOutOfRange() {
        for seconds in [1e12, -1e12, 1e300, -.infinity, .nan, 253_402_300_799.9996] {
            expectUnencodable(["at": Date(timeIntervalSince1970: seconds)], path: "at", message: "0 to 9999")
        }
    }

    private func expectUnencodable(_ value: some Encodable, path: String, message: String) {
        let error = #expect(throws: PortableJSONError.self) { try PortableJSON.encode(value) }
        #expect(error?.kind == .unencodable)
        #expect(error?.path == path)
        #expect(error?.message.contains(message) == true)
    }

    private func decode<T: Decodable>(_ type: T.Type, from text: String) throws {
        _ = try PortableJSON.decode([String: [T]].self, from: text)
    }
}

private struct Optionals: Codable, Equatable {
    var name: String?
    var count: Int?
    var flag: Bool?
    var when: Date?
    var nested: [Optionals]?
    var big: Int128?
}

private struct Generic<Value: Codable & Equatable>: Codable, Equatable {
    var value: Value
}
