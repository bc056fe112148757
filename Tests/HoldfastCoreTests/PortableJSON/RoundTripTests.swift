// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Generated values come back as they were. The seeds are fixed.
@Suite struct RoundTripTests {
    @Test func typedValues() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let value = Everything(using: &generator, depth: 3)
            let text = try PortableJSON.encode(value)
            let decoded = try PortableJSON.decode(Everything.self, from: text)
            #expect(decoded == value)
            let tree = try PortableJSON.parse(text)
            #expect(PortableJSON.text(of: tree) == text)
            #expect(try PortableJSON.decode(Everything.self, from: tree) == value)
        }
    }

    @Test func untypedValues() throws {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<1000 {
            let value = JSONValue.random(using: &generator, depth: 5)
            let text = PortableJSON.text(of: value)
            #expect(try PortableJSON.parse(text) == value)
            #expect(try PortableJSON.encode(value) == text)
            #expect(try PortableJSON.decode(JSONValue.self, from: text) == value)
        }
    }

    @Test func doubles() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            try expectSame(value)
            try expectSame((value.remainder(dividingBy: 1e6) * 1000).rounded() / 1000)
            let single = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
            guard single.isFinite else { continue }
            #expect(try PortableJSON.decode(Float.self, from: PortableJSON.encode(single)) == single)
        }
    }

    /// Short numbers are not parsed by the standard library; they must come out the same.
    @Test func shortDecimals() throws {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<20_000 {
            let digits = String(generator.next() % 10_000_000_000_000_000)
            let text = "-\(digits.prefix(2)).\(digits.dropFirst(2))0"
            let whole = text.hasPrefix("-0") ? "-0.5" : text
            #expect(try PortableJSON.decode(Double.self, from: whole) == Double(whole))
        }
    }

    @Test func dates() throws {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            let milliseconds = Int64.random(in: -62_167_219_200_000...253_402_300_799_999, using: &generator)
            let text = try PortableJSON.encode(Date(timeIntervalSince1970: Double(milliseconds) / 1000))
            let date = try PortableJSON.decode(Date.self, from: text)
            #expect(Int64((date.timeIntervalSince1970 * 1000).rounded()) == milliseconds)
            #expect(try PortableJSON.encode(date) == text)
        }
    }

    @Test func numbersOfJSON() throws {
        #expect(JSONNumber(text: "1.50")?.text == "1.50")
        for text in ["", "1 ", " 1", "01", "1.", "true", "[1]", "\"1\"", "--1", "NaN"] {
            #expect(JSONNumber(text: text) == nil)
        }
        let big = try #require(JSONNumber(text: "18446744073709551615"))
        #expect(big.asInt64 == nil)
        #expect(big.asUInt64 == UInt64.max)
        #expect(big.asDouble == 0x1p64)
        #expect(JSONNumber(-7).asInt64 == -7)
        #expect(JSONNumber(1.0)?.text == "1.0")
        #expect(JSONNumber(.nan) == nil)
        #expect(JSONNumber(text: "1e999")?.asDouble == nil)
    }

    @Test func objects() {
        var object: JSONObject = ["b": 1, "a": 2, "b": 3]
        #expect(object.keys == ["b", "a"])
        #expect(object["b"] == 3)
        object["c"] = 4
        object["b"] = nil
        #expect(object == ["a": 2, "c": 4])
        #expect(object != ["c": 4, "a": 2])
        #expect(object.merging(["a": 5, "d": 6]) == ["a": 5, "c": 4, "d": 6])
    }

    private func expectSame(_ value: Double) throws {
        let decoded = try PortableJSON.decode(Double.self, from: PortableJSON.encode(value))
        #expect(decoded.bitPattern == value.bitPattern)
    }
}

private struct Everything: Codable, Equatable {
    var text: String
    var int: Int
    var small: Int8
    var big: UInt64
    var double: Double
    var flag: Bool?
    var date: Date
    var decimal: Decimal
    var data: Data
    var uuid: UUID
    var strings: [String]
    var map: [String: Int]
    var json: JSONValue
    var payment: Payment
    var children: [Everything]

    init(using generator: inout SeededGenerator, depth: Int) {
        text = .random(using: &generator)
        int = Int(truncatingIfNeeded: generator.next())
        small = Int8.random(in: .min ... .max, using: &generator)
        big = generator.next()
        double = Double(Int32(truncatingIfNeeded: generator.next())) / 7
        flag = [true, false, nil][Int(generator.next() % 3)]
        // Whole seconds, which every date holds exactly.
        date = Date(timeIntervalSince1970: Double(Int.random(in: 0...4_000_000_000, using: &generator)))
        decimal = Decimal(Int64(truncatingIfNeeded: generator.next())) / 10_000
        data = Data((0..<Int(generator.next() % 20)).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        uuid = UUID()
        strings = (0..<Int(generator.next() % 4)).map { _ in .random(using: &generator) }
        map = [:]
        for _ in 0..<generator.next() % 30 {
            map[.random(using: &generator)] = Int(truncatingIfNeeded: generator.next())
        }
        json = .random(using: &generator, depth: depth)
        payment = generator.next() % 2 == 0 ? .cash : .card(number: text, cvc: int)
        children = []
        guard depth > 0 else { return }
        for _ in 0..<generator.next() % 3 {
            children.append(Everything(using: &generator, depth: depth - 1))
        }
    }
}

extension String {
    /// Every kind of character that JSON treats in its own way; not U+0000.
    fileprivate static func random(using generator: inout SeededGenerator) -> String {
        let ranges: [ClosedRange<UInt32>] = [
            0x61...0x7A, 0x20...0x7F, 0x01...0x1F, 0x22...0x22, 0x5C...0x5C, 0x80...0x7FF, 0x800...0xD7FF,
            0xE000...0xFFFF, 0x10000...0x10FFFF,
        ]
        var text = ""
        for _ in 0..<generator.next() % 12 {
            let range = ranges[Int(generator.next() % UInt64(ranges.count))]
            let code = UInt32.random(in: range, using: &generator)
            if let scalar = Unicode.Scalar(code) { text.unicodeScalars.append(scalar) }
        }
        return text
    }
}

extension JSONValue {
    fileprivate static func random(using generator: inout SeededGenerator, depth: Int) -> JSONValue {
        switch generator.next() % (depth > 0 ? 8 : 6) {
        case 0: return .null
        case 1: return .bool(generator.next() % 2 == 0)
        case 2: return .number(JSONNumber(Int64(truncatingIfNeeded: generator.next())))
        case 3: return JSONNumber(Double(generator.next()) / 3).map { .number($0) } ?? .null
        case 4: return JSONNumber(text: "-0.\(generator.next())E+1\(generator.next())").map { .number($0) } ?? .null
        case 5: return .string(.random(using: &generator))
        case 6:
            return .array((0..<generator.next() % 5).map { _ in .random(using: &generator, depth: depth - 1) })
        default:
            let members = (0..<generator.next() % 25).map { _ in
                JSONObject.Member(
                    key: .random(using: &generator),
                    value: .random(using: &generator, depth: depth / 2)
                )
            }
            return .object(JSONObject(members))
        }
    }
}
