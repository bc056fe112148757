// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite struct ErrorPathTests {
    @Test(arguments: [
        (
            #"{"order":{"lines":[{"price":1},{"price":"x"}]}}"#,
            "order.lines[1].price: expected a number, found a string"
        ),
        (#"{"order":{"lines":[{"price":null}]}}"#, "order.lines[0].price: expected a number, found null"),
        (#"{"order":{"lines":[{"price":1},{}]}}"#, "order.lines[1].price: required, but missing"),
        (#"{"order":{"lines":{"0":1}}}"#, "order.lines: expected an array, found an object"),
        (#"{"order":{"lines":[true]}}"#, "order.lines[0]: expected an object, found a boolean"),
        (#"{"order":{}}"#, "order.lines: required, but missing"),
        (#"{}"#, "order: required, but missing"),
        ("[]", "expected an object, found an array"),
        ("12", "expected an object, found number 12"),
    ])
    func decoding(text: String, description: String) {
        let error = #expect(throws: PortableJSONError.self) { try PortableJSON.decode(Envelope.self, from: text) }
        #expect(error?.description == description)
    }

    @Test func kinds() {
        #expect(error(Int.self, "\"1\"")?.kind == .typeMismatch)
        #expect(error(Int.self, "null")?.kind == .typeMismatch)
        #expect(error(Int.self, "1.5")?.kind == .invalidValue)
        #expect(error(Color.self, "\"blue\"")?.kind == .invalidValue)
        #expect(error(Point.self, "{}")?.kind == .missingField)
        #expect(error(Point.self, "{")?.kind == .invalidJSON)
    }

    @Test func unusualKeys() {
        #expect(error([String: [String: Int]].self, #"{"a.b":{"":"x"}}"#)?.path == #"["a.b"][""]"#)
        #expect(error([String: Int].self, #"{"größe":"x"}"#)?.path == "größe")
        #expect(error([String: [Int]].self, #"{"a\"\n":["x"]}"#)?.path == #"["a\"\n"][0]"#)
        #expect(error([Int: Bool].self, #"{"3":"x"}"#)?.path == "3")
    }

    @Test func endOfArray() {
        #expect(error(Pair.self, "[[1]]")?.description == "[0][0]: expected an array, found number 1")
        #expect(error(Two.self, "[1]")?.description == "[1]: expected an element, found the end of the array")
    }

    @Test func errorsOfTypes() {
        let decoding = error([String: [Failing]].self, #"{"a":[{}]}"#)
        #expect(decoding?.description == "a[0]: not today")
        #expect(decoding?.kind == .invalidValue)
        let encoding = #expect(throws: PortableJSONError.self) { try PortableJSON.encode(["a": [Failing()]]) }
        #expect(encoding?.description == "a[0]: not today")
        #expect(encoding?.kind == .unencodable)
        // A path that the type made up, or that another decoder inside counted, is relative.
        #expect(error([String: Pathless].self, #"{"k":1}"#)?.description == "k: no path of its own")
    }

    @Test func caughtErrorsDoNotLendTheirPath() {
        #expect(error([Careful].self, #"[{"a":1,"b":2}]"#)?.description == "[0]: own failure")
        #expect(error(Retrying.self, #"{"a":1,"b":2}"#)?.description == "b: expected a string, found number 2")
        #expect(error(Retrying.self, #"{"a":1}"#)?.description == "b: required, but missing")
        let encoding = #expect(throws: PortableJSONError.self) { try PortableJSON.encode(["r": RetryingWriter()]) }
        #expect(encoding?.path == "r.b")
    }

    @Test func errorsInNestedContainers() {
        let error = #expect(throws: PortableJSONError.self) {
            try PortableJSON.encode(["p": Payment.both(.cash, .cash), "q": .card(number: "\u{0}", cvc: 1)])
        }
        #expect(error?.path == "q.card.number")
    }

    @Test func contentsStayOutOfMessages() {
        #expect(error(Int.self, #""secret""#)?.description.contains("secret") == false)
        let digits = String(repeating: "9", count: 1000)
        #expect((error(Int.self, digits)?.description.count ?? 1000) < 150)
    }

    private func error<T: Decodable>(_ type: T.Type, _ text: String) -> PortableJSONError? {
        #expect(throws: PortableJSONError.self) { try PortableJSON.decode(type, from: text) }
    }
}

private struct Envelope: Decodable {
    struct Order: Decodable {
        var lines: [Line]
    }

    struct Line: Decodable {
        var price: Double
    }

    var order: Order
}

private struct Two: Decodable {
    init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        _ = try list.decode(Int.self)
        _ = try list.decode(Int.self)
    }
}

private struct Pair: Decodable {
    init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        var inner = try list.nestedUnkeyedContainer()
        _ = try inner.nestedUnkeyedContainer()
    }
}

private struct Pathless: Decodable {
    init(from decoder: any Decoder) throws {
        throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "no path of its own"))
    }
}

private struct Careful: Decodable {
    struct Failure: Error, CustomStringConvertible {
        let description = "own failure"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        _ = try? container.decode(Failing.self, forKey: "a")
        throw Failure()
    }
}

private struct Retrying: Decodable {
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        _ = try? container.decode(Failing.self, forKey: "a")
        _ = try? container.decode([Point].self, forKey: "a")
        _ = try container.decode(String.self, forKey: "b")
    }
}

private struct RetryingWriter: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: AnyKey.self)
        try? container.encode(Failing(), forKey: "a")
        try? container.encode([Double.nan], forKey: "a")
        try container.encode(Double.nan, forKey: "b")
    }
}
