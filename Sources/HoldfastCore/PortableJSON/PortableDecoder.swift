// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The decoder of one node of a document.
struct PortableDecoder: Decoder, SingleValueDecodingContainer {
    let document: JSONDocument
    let index: Int32

    var codingPath: [any CodingKey] { document.path(to: index) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard document.kind(at: index) == .object else {
            throw document.mismatch([String: any Decodable].self, "an object", at: index)
        }
        return KeyedDecodingContainer(PortableKeyedDecoding(document: document, index: index))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard document.kind(at: index) == .array else {
            throw document.mismatch([any Decodable].self, "an array", at: index)
        }
        return PortableUnkeyedDecoding(document: document, index: index)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        self
    }

    func decodeNil() -> Bool {
        document.kind(at: index) == .null
    }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try document.read(type, at: index)
    }
}

struct PortableKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let document: JSONDocument
    private let index: Int32
    /// Built for large objects only: few members are found faster by looking at each.
    private let places: [JSONKey: Int32]?

    init(document: JSONDocument, index: Int32) {
        self.document = document
        self.index = index
        guard document.nodes[Int(index)].extent > 16 else {
            places = nil
            return
        }
        let members = document.members(of: index).map { (JSONKey($0.key), $0.value) }
        places = Dictionary(members) { _, last in last }
    }

    var codingPath: [any CodingKey] { document.path(to: index) }

    var allKeys: [Key] {
        // A repeated key appears once, with the member that counts.
        document.members(of: index).compactMap { key, value in
            place(of: key) == value ? Key(stringValue: key) : nil
        }
    }

    func contains(_ key: Key) -> Bool {
        place(of: key.stringValue) != nil
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        document.kind(at: try requiredPlace(of: key)) == .null
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        if let place = place(of: key.stringValue) { return try document.read(type, at: place) }
        // A missing member stands for nil, also where the optional is a generic parameter and the type therefore
        // does not ask for `decodeIfPresent`.
        if let optional = type as? any OptionalType.Type, let none = optional.nilValue as? T { return none }
        throw missing(key)
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        guard let place = place(of: key.stringValue), document.kind(at: place) != .null else { return nil }
        return try document.read(type, at: place)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type,
        forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try PortableDecoder(document: document, index: requiredPlace(of: key)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try PortableDecoder(document: document, index: requiredPlace(of: key)).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        superDecoder(at: place(of: JSONNameKey.super.stringValue))
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        superDecoder(at: place(of: key.stringValue))
    }

    /// A missing superclass reads as null: it may have nothing to decode.
    private func superDecoder(at place: Int32?) -> any Decoder {
        PortableDecoder(document: document, index: place ?? ~index)
    }

    private func place(of key: String) -> Int32? {
        if let places { return places[JSONKey(key)] }
        return document.member(key, of: index)
    }

    private func requiredPlace(of key: Key) throws -> Int32 {
        guard let place = place(of: key.stringValue) else { throw missing(key) }
        return place
    }

    private func missing(_ key: Key) -> DecodingError {
        document.noteOwnFailure(at: index)
        let context = DecodingError.Context(codingPath: codingPath, debugDescription: "required, but missing")
        return .keyNotFound(key, context)
    }
}

struct PortableUnkeyedDecoding: UnkeyedDecodingContainer {
    private let document: JSONDocument
    private let index: Int32
    /// The node of the next element.
    private var element: Int32
    private var position: Int32 = 0

    init(document: JSONDocument, index: Int32) {
        self.document = document
        self.index = index
        element = index + 1
    }

    var codingPath: [any CodingKey] { document.path(to: index) }
    var count: Int? { Int(document.nodes[Int(index)].extent) }
    var currentIndex: Int { Int(position) }
    var isAtEnd: Bool { position == document.nodes[Int(index)].extent }

    mutating func decodeNil() throws -> Bool {
        guard document.kind(at: try requiredElement(Never.self)) == .null else { return false }
        advance()
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try document.read(type, at: requiredElement(type))
        // Only now: after a failure the same element can be read as another type.
        advance()
        return value
    }

    mutating func decodeIfPresent<T: Decodable>(_ type: T.Type) throws -> T? {
        if isAtEnd { return nil }
        if try decodeNil() { return nil }
        return try decode(type)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        let container = try nextDecoder().container(keyedBy: type)
        advance()
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try nextDecoder().unkeyedContainer()
        advance()
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try nextDecoder()
        advance()
        return decoder
    }

    private func nextDecoder() throws -> PortableDecoder {
        PortableDecoder(document: document, index: try requiredElement(Never.self))
    }

    private mutating func advance() {
        element = document.nodes[Int(element)].next
        position += 1
    }

    private func requiredElement(_ type: Any.Type) throws -> Int32 {
        guard !isAtEnd else {
            document.noteOwnFailure(at: index)
            let context = DecodingError.Context(
                codingPath: codingPath + [JSONIndexKey(currentIndex)],
                debugDescription: "expected an element, found the end of the array"
            )
            throw DecodingError.valueNotFound(type, context)
        }
        return element
    }
}

/// Finds the nil of an optional type that is only known as a generic parameter.
private protocol OptionalType {
    static var nilValue: Any { get }
}

extension Optional: OptionalType {
    fileprivate static var nilValue: Any { Self.none as Any }
}
