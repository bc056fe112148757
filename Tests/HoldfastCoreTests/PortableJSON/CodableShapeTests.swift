// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

/// Every way in which a type can ask for its containers.
@Suite struct CodableShapeTests {
    @Test func enumsWithAssociatedValues() throws {
        try expect(#"{"card":{"number":"4","cvc":7}}"#, Payment.card(number: "4", cvc: 7))
        try expect(#"{"cash":{}}"#, Payment.cash)
        try expect(
            #"{"both":{"_0":{"cash":{}},"_1":{"card":{"number":"","cvc":0}}}}"#,
            Payment.both(.cash, .card(number: "", cvc: 0))
        )
        try expect(#"[{"cash":{}},{"cash":{}}]"#, [Payment.cash, .cash])
        try expect(#"["red","green"]"#, [Color.red, .green])
    }

    @Test func dictionaryKeys() throws {
        try expect(#"{"red":1}"#, [Color.red: 1])
        try expect(#"{"-5":true}"#, [-5: true])
        try expect(#"[{"x":1,"y":2},"p"]"#, [Point(x: 1, y: 2): "p"])
        try expect(#"{"custom-7":1}"#, [CustomKey(number: 7): 1])
    }

    @Test func classes() throws {
        let circle = Circle()
        circle.name = "c"
        circle.radius = 2
        let text = try PortableJSON.encode(circle)
        #expect(text == #"{"radius":2.0,"super":{"name":"c"},"unit":"mm"}"#)
        let copy = try PortableJSON.decode(Circle.self, from: text)
        #expect(copy.name == "c" && copy.radius == 2 && copy.unit == "mm")
        let error = #expect(throws: PortableJSONError.self) {
            try PortableJSON.decode(Circle.self, from: #"{"radius":2,"super":{"name":1},"unit":""}"#)
        }
        #expect(error?.path == "super.name")
    }

    @Test func sharedEncoder() throws {
        let value = Flattened(inner: Point(x: 1, y: 2), note: "n")
        try expect(#"{"x":1,"y":2,"note":"n"}"#, value)
    }

    @Test func interleavedContainers() throws {
        let text = try PortableJSON.encode(Interleaved())
        #expect(text == #"{"a":{"1":1,"2":{"deep":[[],1,2]},"3":3},"b":[1,{"s":true},2],"c":0,"d":"late","e":{}}"#)
        #expect(PortableJSON.text(of: try PortableJSON.parse(text)) == text)
    }

    @Test func nestedSingleValues() throws {
        try expect("7", Wrapper(value: Wrapper(value: 7)))
        try expect("[[1],[2]]", Wrapper(value: [Wrapper(value: [1]), Wrapper(value: [2])]))
        try expect(#"{"k":null}"#, ["k": Wrapper(value: Int?.none)])
        try expect(#"[null,1]"#, [Wrapper(value: nil), Wrapper(value: 1)] as [Wrapper<Int?>])
    }

    @Test func typesThatWriteNothing() throws {
        #expect(try PortableJSON.encode(Silent()) == "{}")
        #expect(try PortableJSON.encode([Silent()]) == "[{}]")
        #expect(try PortableJSON.encode(["a": Wrapper(value: Silent())]) == #"{"a":{}}"#)
    }

    @Test func jsonValuesInsideTypes() throws {
        let value: JSONValue = ["z": [1, nil, true, "x"], "a": ["deep": [:]]]
        try expect(#"{"z":[1,null,true,"x"],"a":{"deep":{}}}"#, value)
        try expect(#"[{"value":[]}]"#, [Keyed(value: JSONValue.array([]))])
        let text = #"{"value":[1.50,1E5,123456789012345678901234567890]}"#
        #expect(try PortableJSON.encode(PortableJSON.decode(Keyed<JSONValue>.self, from: text)) == text)
    }

    @Test func caughtErrorsLeaveNoTrace() throws {
        #expect(try PortableJSON.encode(Forgiving()) == #"{"first":1,"list":[1,2],"last":2}"#)
        #expect(try PortableJSON.decode(Lenient.self, from: #"{"value":7}"#) == Lenient(text: "7"))
        #expect(try PortableJSON.decode([Lenient].self, from: #"[{"value":"a"}]"#) == [Lenient(text: "a")])
        #expect(try PortableJSON.decode(Mixed.self, from: #"[1,"a",2]"#) == Mixed(numbers: [1, 2], texts: ["a"]))
    }

    @Test(arguments: Misuse.Kind.allCases)
    func misuse(kind: Misuse.Kind) {
        let misuse = Misuse(kind: kind)
        let error = #expect(throws: PortableJSONError.self) { try PortableJSON.encode(["k": misuse]) }
        #expect(error?.kind == .unencodable)
        #expect(error?.path.hasPrefix("k") == true)
    }

    private func expect<T: Codable & Equatable>(_ text: String, _ value: T) throws {
        #expect(try PortableJSON.encode(value) == text)
        #expect(try PortableJSON.decode(T.self, from: text) == value)
        #expect(try PortableJSON.decode(T.self, from: PortableJSON.parse(text)) == value)
    }
}
