// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

/// Types for `CodableShapeTests`.
indirect enum Payment: Codable, Equatable {
    case cash
    case card(number: String, cvc: Int)
    case both(Payment, Payment)
}

enum Color: String, Codable, CodingKeyRepresentable {
    case red, green
}

struct Point: Codable, Hashable {
    var x: Int
    var y: Int
}

struct CustomKey: Codable, Hashable, CodingKeyRepresentable {
    struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    var number: Int
    var codingKey: any CodingKey { Key(stringValue: "custom-\(number)") }

    init(number: Int) {
        self.number = number
    }

    init?(codingKey: some CodingKey) {
        guard let number = Int(codingKey.stringValue.dropFirst(7)) else { return nil }
        self.number = number
    }
}

class Shape: Codable {
    var name = ""
}

final class Circle: Shape {
    var radius = 0.0
    var unit = "mm"

    enum CodingKeys: CodingKey {
        case radius, unit
    }

    override init() {
        super.init()
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        radius = try container.decode(Double.self, forKey: .radius)
        unit = try container.decode(String.self, forKey: .unit)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(radius, forKey: .radius)
        try super.encode(to: container.superEncoder())
        try container.encode(unit, forKey: .unit)
    }
}

struct Flattened: Codable, Equatable {
    var inner: Point
    var note: String

    enum CodingKeys: CodingKey {
        case note
    }

    init(inner: Point, note: String) {
        self.inner = inner
        self.note = note
    }

    init(from decoder: any Decoder) throws {
        inner = try Point(from: decoder)
        note = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .note)
    }

    func encode(to encoder: any Encoder) throws {
        try inner.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(note, forKey: .note)
    }
}

/// Keeps several containers open and writes to them in turns.
struct Interleaved: Encodable {
    func encode(to encoder: any Encoder) throws {
        var root = encoder.container(keyedBy: AnyKey.self)
        var a = root.nestedContainer(keyedBy: AnyKey.self, forKey: "a")
        var b = root.nestedUnkeyedContainer(forKey: "b")
        try a.encode(1, forKey: "1")
        try b.encode(1)
        try root.encode(0, forKey: "c")
        var two = a.nestedContainer(keyedBy: AnyKey.self, forKey: "2")
        var deep = two.nestedUnkeyedContainer(forKey: "deep")
        _ = deep.nestedUnkeyedContainer()
        let late = root.superEncoder(forKey: "d")
        try deep.encode(1)
        var s = b.nestedContainer(keyedBy: AnyKey.self)
        try a.encode(3, forKey: "3")
        try b.encode(2)
        try s.encode(true, forKey: "s")
        _ = root.superEncoder(forKey: "e")
        try deep.encode(2)
        try "late".encode(to: late)
    }
}

struct AnyKey: CodingKey, ExpressibleByStringLiteral {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringLiteral: String) { stringValue = stringLiteral }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

struct Wrapper<Value: Codable & Equatable>: Codable, Equatable {
    var value: Value

    init(value: Value) {
        self.value = value
    }

    init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(Value.self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

struct Keyed<Value: Codable & Equatable>: Codable, Equatable {
    var value: Value
}

struct Silent: Codable, Equatable {
    init() {}
    init(from decoder: any Decoder) {}
    func encode(to encoder: any Encoder) {}
}

/// Goes on after errors of its parts.
struct Forgiving: Encodable {
    func encode(to encoder: any Encoder) throws {
        var root = encoder.container(keyedBy: AnyKey.self)
        try? root.encode(Double.nan, forKey: "nan")
        try root.encode(1, forKey: "first")
        try? root.encode([[1, .infinity]], forKey: "infinite")
        try? root.encode(["a": Failing()], forKey: "failing")
        var list = root.nestedUnkeyedContainer(forKey: "list")
        try? list.encode("\u{0}")
        try list.encode(1)
        try? list.encode([Payment.cash], then: Double.nan)
        try list.encode(2)
        try root.encode(2, forKey: "last")
    }
}

extension UnkeyedEncodingContainer {
    fileprivate mutating func encode(_ first: some Encodable, then second: some Encodable) throws {
        try encode(Both(first: first, second: second))
    }
}

private struct Both<First: Encodable, Second: Encodable>: Encodable {
    var first: First
    var second: Second
}

struct Failing: Codable, Equatable {
    struct Refusal: Error, CustomStringConvertible {
        let description = "not today"
    }

    init() {}

    init(from decoder: any Decoder) throws {
        throw Refusal()
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: AnyKey.self)
        try container.encode(1, forKey: "written")
        _ = container.nestedContainer(keyedBy: AnyKey.self, forKey: "nested")
        throw Refusal()
    }
}

/// Takes text or number, as types do that read old and new forms.
struct Lenient: Decodable, Equatable {
    var text: String

    init(text: String) {
        self.text = text
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        do {
            text = try container.decode(String.self, forKey: "value")
        } catch DecodingError.typeMismatch {
            text = String(try container.decode(Int.self, forKey: "value"))
        }
    }
}

struct Mixed: Decodable, Equatable {
    var numbers: [Int] = []
    var texts: [String] = []

    init(numbers: [Int], texts: [String]) {
        self.numbers = numbers
        self.texts = texts
    }

    init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        while !list.isAtEnd {
            if let number = try? list.decode(Int.self) {
                numbers.append(number)
            } else {
                texts.append(try list.decode(String.self))
            }
        }
    }
}

/// Not itself the argument of a test: those are encoded by the testing library, with an encoder that traps here.
struct Misuse: Encodable {
    enum Kind: CaseIterable {
        case twoContainers, twoValues, valueAfterContainer, late
    }

    let kind: Kind

    func encode(to encoder: any Encoder) throws {
        switch kind {
        case .twoContainers:
            _ = encoder.container(keyedBy: AnyKey.self)
            _ = encoder.unkeyedContainer()
        case .twoValues:
            var container = encoder.singleValueContainer()
            try container.encode(1)
            try container.encode(2)
        case .valueAfterContainer:
            _ = encoder.unkeyedContainer()
            try 1.encode(to: encoder)
        case .late:
            let leak = Leak()
            var container = encoder.container(keyedBy: AnyKey.self)
            try container.encode(leak, forKey: "leak")
            var list = leak.container
            try list?.encode(1)
        }
    }

    private final class Leak: Encodable {
        nonisolated(unsafe) var container: (any UnkeyedEncodingContainer)?

        func encode(to encoder: any Encoder) throws {
            container = encoder.unkeyedContainer()
        }
    }
}
