// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite struct ArgumentsTests {
    /// f("hello", 42) as each writer puts it.
    @Test(arguments: [
        #"{"namedArgs":{},"positionalArgs":["hello",42]}"#,
        #"{"positionalArgs":["hello",42]}"#,
        #"{"positionalArgs":["hello",42],"namedArgs":null}"#,
        #"{"positionalArgs":["hello",42],"namedArgs":{}}"#,
        #"{"positionalArgs" : ["hello",42], "namedArgs" : {}}"#,
        "{\n\t\"other\": 1, \"positionalArgs\": [ \"hello\", 42 ]\r\n}",
    ])
    func writers(text: String) throws {
        let arguments = try PortableArguments(parsing: text)
        #expect(arguments == PortableArguments(positional: ["hello", 42]))
        #expect(try arguments.decodeInput(as: String.self) == "hello")
        #expect(try arguments.text() == #"{"positionalArgs":["hello",42],"namedArgs":{}}"#)
    }

    @Test func pythonKeywords() throws {
        let text = #"{"namedArgs":{"flag":true},"positionalArgs":["hello",42,"2025-06-15T10:30:00.000Z"]}"#
        let arguments = try PortableArguments(parsing: text)
        #expect(arguments.positional.count == 3)
        #expect(arguments.named == ["flag": true])
        #expect(try arguments.decodeInput(as: String.self) == "hello")
    }

    @Test(arguments: ["{}", #"{"positionalArgs":null}"#, #"{"positionalArgs":[],"namedArgs":{}}"#])
    func nothing(text: String) throws {
        let arguments = try PortableArguments(parsing: text)
        #expect(arguments == PortableArguments())
        #expect(try arguments.decodeInput(as: AllOptional.self) == AllOptional())
        #expect(try arguments.decodeInput(as: Int?.self) == nil)
        #expect(try arguments.decodeInput(as: Empty.self) == Empty())
        let missing = #expect(throws: PortableJSONError.self) { try arguments.decodeInput(as: Order.self) }
        #expect(missing?.kind == .missingField)
        #expect(missing?.path == "id")
        let mismatch = #expect(throws: PortableJSONError.self) { try arguments.decodeInput(as: Int.self) }
        #expect(mismatch?.description == "expected an integer (Int), found null")
    }

    @Test(arguments: [
        #"{"positionalArgs":[{"id":"a","amount":3}]}"#,
        #"{"namedArgs":{"amount":3,"id":"a"}}"#,
        #"{"positionalArgs":[null],"namedArgs":{"amount":3,"id":"a"}}"#,
        #"{"positionalArgs":[{"id":"a","amount":1}],"namedArgs":{"amount":3}}"#,
        #"{"positionalArgs":[{"id":"a"}],"namedArgs":{"amount":3.0,"unknown":[]}}"#,
        #"{"positionalArgs":[{"id":"a","amount":3},"ignored"]}"#,
    ])
    func structInput(text: String) throws {
        #expect(try PortableArguments(parsing: text).decodeInput(as: Order.self) == Order(id: "a", amount: 3))
    }

    @Test func single() throws {
        let text = try PortableArguments.encode(single: Order(id: "ä/b", amount: 3))
        #expect(text == #"{"positionalArgs":[{"id":"ä/b","amount":3}],"namedArgs":{}}"#)
        #expect(try PortableArguments(parsing: text).decodeInput(as: Order.self) == Order(id: "ä/b", amount: 3))
        #expect(try PortableArguments.encode(single: Int?.none) == #"{"positionalArgs":[null],"namedArgs":{}}"#)
        #expect(try PortableArguments.encode(single: 1.0) == #"{"positionalArgs":[1.0],"namedArgs":{}}"#)
    }

    @Test(arguments: [
        ("[1]", ""), ("null", ""), ("\"x\"", ""),
        (#"{"positionalArgs":{}}"#, "positionalArgs"), (#"{"namedArgs":[]}"#, "namedArgs"),
    ])
    func otherShapes(text: String, path: String) {
        let error = #expect(throws: PortableJSONError.self) { try PortableArguments(parsing: text) }
        #expect(error?.kind == .typeMismatch)
        #expect(error?.path == path)
    }

    @Test func zeroCharacterIsRefused() {
        let arguments = PortableArguments(positional: [["key": "a\u{0}"]])
        #expect(throws: PortableJSONError.self) { try arguments.text() }
    }
}

private struct Order: Codable, Equatable {
    var id: String
    var amount: Int
}

private struct AllOptional: Codable, Equatable {
    var name: String?
    var amount: Int?
}

private struct Empty: Codable, Equatable {}
