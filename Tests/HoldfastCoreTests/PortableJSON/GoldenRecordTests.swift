// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The records that the test suites of the other languages compare byte by byte.
@Suite struct GoldenRecordTests {
    static let when = Date(timeIntervalSince1970: 1_749_983_400)

    static let inputs = """
        {"positionalArgs":["hello-interop",42,"2025-06-15T10:30:00.000Z",["alpha","beta","gamma"],\
        {"key1":"value1","key2":99,"nested":{"deep":true}},true,null]}
        """
    static let output = """
        {"echo_text":"hello-interop","echo_num":42,"echo_dt":"2025-06-15T10:30:00.000Z","items_count":3,\
        "meta_keys":["key1","key2","nested"],"flag":true,"empty":null,\
        "received":{"sender":"test","payload":[1,2,3]}}
        """
    static let assorted = """
        {"m":{"sender":"test","payload":[1,2,3]},"n":null,"dec":"1.50","t":[1,2],\
        "when":"2025-06-15T10:30:00.000Z","u":"é \\"x","l":[{"item":1}],"f":1.0,"big":1152921504606846976,\
        "patched":true}
        """

    @Test func message() throws {
        let message = Message(sender: "test", payload: [1, 2, 3])
        try expectRecord(#"{"sender":"test","payload":[1,2,3]}"#, of: message)
    }

    @Test func event() throws {
        let event = Event(text: "hello-interop", num: 42, flag: true)
        try expectRecord(#"{"text":"hello-interop","num":42,"flag":true}"#, of: event)
    }

    @Test func streamValue() throws {
        try expectRecord(#"{"item":"hello-interop"}"#, of: StreamItem(item: "hello-interop"))
    }

    @Test func closedStream() throws {
        try expectRecord(#""__DBOS_STREAM_CLOSED__""#, of: "__DBOS_STREAM_CLOSED__")
    }

    @Test func output() throws {
        let output = Output(
            echoText: "hello-interop",
            echoNum: 42,
            echoDate: Self.when,
            itemsCount: 3,
            metaKeys: ["key1", "key2", "nested"],
            flag: true,
            empty: nil,
            received: Message(sender: "test", payload: [1, 2, 3])
        )
        try expectRecord(Self.output, of: output)
    }

    @Test func inputs() throws {
        let input = Input(
            text: "hello-interop",
            num: 42,
            date: Self.when,
            items: ["alpha", "beta", "gamma"],
            meta: Meta(key1: "value1", key2: 99, nested: ["deep": true]),
            flag: true,
            empty: nil
        )
        let arguments = try PortableArguments(parsing: Self.inputs)
        #expect(try arguments.decodeList(as: Input.self) == input)
        #expect(try PortableJSON.encode(Envelope(positionalArgs: input)) == Self.inputs)
        let withNames = try PortableArguments(parsing: #"{"namedArgs":{},"# + Self.inputs.dropFirst())
        #expect(withNames == arguments)
        #expect(try arguments.text() == Self.inputs.dropLast() + #","namedArgs":{}}"#)
    }

    /// Written by Python. Swift keeps no trailing zeros in `Decimal`, and so writes "1.5".
    @Test func assortedTypes() throws {
        let value = try PortableJSON.decode(Assorted.self, from: Self.assorted)
        #expect(value.dec == Decimal(string: "1.5"))
        #expect(value.when == Self.when)
        #expect(value.u == "é \"x")
        #expect(value.big == 1 << 60)
        #expect(value.n == nil)
        let text = Self.assorted.replacing("1.50", with: "1.5").replacing(#""n":null,"#, with: "")
        #expect(try PortableJSON.encode(value) == text)
        #expect(PortableJSON.text(of: try PortableJSON.parse(Self.assorted)) == Self.assorted)
    }

    private func expectRecord<T: Codable & Equatable>(_ text: String, of value: T) throws {
        #expect(try PortableJSON.encode(value) == text)
        #expect(try PortableJSON.decode(T.self, from: text) == value)
    }
}

private struct Message: Codable, Equatable {
    var sender: String
    var payload: [Int]
}

private struct Event: Codable, Equatable {
    var text: String
    var num: Int
    var flag: Bool
}

private struct StreamItem: Codable, Equatable {
    var item: String
}

private struct Meta: Codable, Equatable {
    var key1: String
    var key2: Int
    var nested: [String: Bool]
}

private struct Envelope: Codable {
    var positionalArgs: Input
}

/// An argument list as a type: its properties in order.
private struct Input: Codable, Equatable {
    var text: String
    var num: Int
    var date: Date
    var items: [String]
    var meta: Meta
    var flag: Bool
    var empty: String?
}

extension Input {
    init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        text = try list.decode(String.self)
        num = try list.decode(Int.self)
        date = try list.decode(Date.self)
        items = try list.decode([String].self)
        meta = try list.decode(Meta.self)
        flag = try list.decode(Bool.self)
        empty = try list.decodeIfPresent(String.self)
    }

    func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        try list.encode(text)
        try list.encode(num)
        try list.encode(date)
        try list.encode(items)
        try list.encode(meta)
        try list.encode(flag)
        try list.encode(empty)
    }
}

private struct Output: Codable, Equatable {
    var echoText: String
    var echoNum: Int
    var echoDate: Date
    var itemsCount: Int
    var metaKeys: [String]
    var flag: Bool
    var empty: String?
    var received: Message

    enum CodingKeys: String, CodingKey {
        case echoText = "echo_text"
        case echoNum = "echo_num"
        case echoDate = "echo_dt"
        case itemsCount = "items_count"
        case metaKeys = "meta_keys"
        case flag, empty, received
    }

    /// The synthesized one leaves out what is nil; the record has `"empty":null`.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(echoText, forKey: .echoText)
        try container.encode(echoNum, forKey: .echoNum)
        try container.encode(echoDate, forKey: .echoDate)
        try container.encode(itemsCount, forKey: .itemsCount)
        try container.encode(metaKeys, forKey: .metaKeys)
        try container.encode(flag, forKey: .flag)
        try container.encode(empty, forKey: .empty)
        try container.encode(received, forKey: .received)
    }
}

private struct Assorted: Codable, Equatable {
    var m: Message
    var n: String?
    var dec: Decimal
    var t: [Int]
    var when: Date
    var u: String
    var l: [[String: Int]]
    var f: Double
    var big: Int
    var patched: Bool
}
