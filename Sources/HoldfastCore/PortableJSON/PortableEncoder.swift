// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The encoder of one value. Containers write through to the sink; none of them holds state of its own.
struct PortableEncoder: Encoder {
    let sink: JSONSink
    let scope: JSONSink.Reference

    var codingPath: [any CodingKey] { sink.path(to: scope) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        sink.open(.object, at: scope)
        return KeyedEncodingContainer(PortableKeyedEncoding(sink: sink, scope: scope))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        sink.open(.array, at: scope)
        return PortableUnkeyedEncoding(sink: sink, scope: scope)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        PortableSingleValueEncoding(sink: sink, scope: scope)
    }
}

/// One generic method serves all primitives: the sink tells them apart by type.
struct PortableKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let sink: JSONSink
    let scope: JSONSink.Reference

    var codingPath: [any CodingKey] { sink.path(to: scope) }

    mutating func encodeNil(forKey key: Key) throws {
        try sink.append(JSONValue.null, key: key, asMemberOf: scope)
    }

    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try sink.append(value, key: key, asMemberOf: scope)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type,
        forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        nestedEncoder(key).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nestedEncoder(key).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
        nestedEncoder(JSONNameKey.super)
    }

    mutating func superEncoder(forKey key: Key) -> any Encoder {
        nestedEncoder(key)
    }

    private func nestedEncoder(_ key: some CodingKey) -> PortableEncoder {
        let child = sink.appendHole(key, asMemberOf: scope)
        return PortableEncoder(sink: child, scope: child.current)
    }
}

struct PortableUnkeyedEncoding: UnkeyedEncodingContainer {
    let sink: JSONSink
    let scope: JSONSink.Reference

    var codingPath: [any CodingKey] { sink.path(to: scope) }
    var count: Int { sink.count(at: scope) }

    mutating func encodeNil() throws {
        try sink.append(JSONValue.null, asElementOf: scope)
    }

    mutating func encode<T: Encodable>(_ value: T) throws {
        try sink.append(value, asElementOf: scope)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        nestedEncoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        nestedEncoder().unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
        nestedEncoder()
    }

    private func nestedEncoder() -> PortableEncoder {
        let child = sink.appendHole(asElementOf: scope)
        return PortableEncoder(sink: child, scope: child.current)
    }
}

struct PortableSingleValueEncoding: SingleValueEncodingContainer {
    let sink: JSONSink
    let scope: JSONSink.Reference

    var codingPath: [any CodingKey] { sink.path(to: scope) }

    mutating func encodeNil() throws {
        try sink.append(JSONValue.null, asValueOf: scope)
    }

    mutating func encode<T: Encodable>(_ value: T) throws {
        try sink.append(value, asValueOf: scope)
    }
}
