// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A query in the form in which it goes to the server: every parameter in the binary format of its declared type.
///
/// Binary needs no escaping, has no ambiguities, and makes large arrays cheap. The binary form of a text is its bytes.
struct EncodedQuery: Sendable {
    let sql: String
    private(set) var types: [UInt32] = []
    /// The bytes of all parameters, one after the other.
    private(set) var bytes: [UInt8] = []
    /// Where each parameter lies in `bytes`; `nil` is NULL.
    private(set) var ranges: [Range<Int>?] = []

    /// The protocol counts parameters in 16 bits.
    static let parameterLimit = 65535

    init(_ query: PostgresQuery, index: Int? = nil) throws(PostgresError) {
        func refuse(_ message: String) -> PostgresError {
            var error = PostgresError(.unencodable, message)
            error.sql = PostgresError.excerpt(query.sql)
            error.queryIndex = index
            return error
        }
        sql = query.sql
        if holdsZeroByte(query.sql) {
            throw refuse("the SQL text holds a NUL byte, which Postgres cannot store")
        }
        guard query.bindings.count <= Self.parameterLimit else {
            throw refuse("\(query.bindings.count) parameters; Postgres takes at most \(Self.parameterLimit)")
        }
        types.reserveCapacity(query.bindings.count)
        ranges.reserveCapacity(query.bindings.count)
        for (position, binding) in query.bindings.enumerated() {
            guard append(binding) else {
                throw refuse("parameter $\(position + 1) holds a NUL byte, which a Postgres text cannot store")
            }
        }
    }

    /// `false` when a text holds a NUL byte.
    private mutating func append(_ binding: PostgresBinding) -> Bool {
        switch binding {
        case .text(let value):
            if let value, holdsZeroByte(value) { return false }
            appendScalar(value, type: TypeOID.text) { $1.append(utf8: $0) }
        case .int4(let value):
            appendScalar(value, type: TypeOID.int4) { $1.append(bigEndian: $0) }
        case .int8(let value):
            appendScalar(value, type: TypeOID.int8) { $1.append(bigEndian: $0) }
        case .bool(let value):
            appendScalar(value, type: TypeOID.bool) { $1.append($0 ? 1 : 0) }
        case .double(let value):
            appendScalar(value, type: TypeOID.float8) { $1.append(bigEndian: $0.bitPattern) }
        case .textArray(let values):
            if values.contains(where: { $0.map(holdsZeroByte) ?? false }) { return false }
            appendArray(values, type: TypeOID.textArray, element: TypeOID.text) { $1.append(utf8: $0) }
        case .int4Array(let values):
            appendArray(values, type: TypeOID.int4Array, element: TypeOID.int4) { $1.append(bigEndian: $0) }
        case .int8Array(let values):
            appendArray(values, type: TypeOID.int8Array, element: TypeOID.int8) { $1.append(bigEndian: $0) }
        case .boolArray(let values):
            appendArray(values, type: TypeOID.boolArray, element: TypeOID.bool) { $1.append($0 ? 1 : 0) }
        case .doubleArray(let values):
            appendArray(values, type: TypeOID.float8Array, element: TypeOID.float8) {
                $1.append(bigEndian: $0.bitPattern)
            }
        }
        return true
    }

    private mutating func appendScalar<Value>(_ value: Value?, type: UInt32, write: (Value, inout [UInt8]) -> Void) {
        types.append(type)
        guard let value else {
            ranges.append(nil)
            return
        }
        let start = bytes.count
        write(value, &bytes)
        ranges.append(start..<bytes.count)
    }

    /// The layout of `array_send`: dimensions, a NULL flag, the element type, length and lower bound, the elements.
    private mutating func appendArray<Value>(
        _ values: [Value?],
        type: UInt32,
        element: UInt32,
        write: (Value, inout [UInt8]) -> Void
    ) {
        types.append(type)
        let start = bytes.count
        bytes.append(bigEndian: Int32(values.isEmpty ? 0 : 1))
        bytes.append(bigEndian: Int32(values.contains { $0 == nil } ? 1 : 0))
        bytes.append(bigEndian: element)
        if !values.isEmpty {
            bytes.append(bigEndian: Int32(values.count))
            bytes.append(bigEndian: Int32(1))
        }
        for value in values {
            guard let value else {
                bytes.append(bigEndian: Int32(-1))
                continue
            }
            let lengthAt = bytes.count
            bytes.append(bigEndian: Int32(0))
            write(value, &bytes)
            bytes.replace(bigEndian: Int32(bytes.count - lengthAt - 4), at: lengthAt)
        }
        ranges.append(start..<bytes.count)
    }
}

/// Object ids from `pg_type.dat`; they never change.
private enum TypeOID {
    static let bool: UInt32 = 16
    static let int8: UInt32 = 20
    static let int4: UInt32 = 23
    static let text: UInt32 = 25
    static let float8: UInt32 = 701
    static let boolArray: UInt32 = 1000
    static let int4Array: UInt32 = 1007
    static let textArray: UInt32 = 1009
    static let int8Array: UInt32 = 1016
    static let float8Array: UInt32 = 1022
}

private func holdsZeroByte(_ text: String) -> Bool {
    text.utf8.withContiguousStorageIfAvailable { $0.contains(0) } ?? text.utf8.contains(0)
}

extension [UInt8] {
    fileprivate mutating func append(utf8 text: String) {
        append(contentsOf: text.utf8)
    }

    fileprivate mutating func append<Value: FixedWidthInteger>(bigEndian value: Value) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    fileprivate mutating func replace<Value: FixedWidthInteger>(bigEndian value: Value, at offset: Int) {
        Swift.withUnsafeBytes(of: value.bigEndian) { source in
            for (index, byte) in source.enumerated() {
                self[offset + index] = byte
            }
        }
    }
}
