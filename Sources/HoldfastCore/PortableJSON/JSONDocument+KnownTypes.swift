// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension JSONDocument {
    /// Reads a whole value: directly if its form is known here, else by its own `init(from:)`.
    @inline(__always)
    func read<T: Decodable>(_ type: T.Type, at index: Int32) throws -> T {
        if T.self == String.self { return unsafeBitCast(try readString(at: index), to: T.self) }
        if T.self == Int.self { return unsafeBitCast(try readInteger(Int.self, at: index), to: T.self) }
        if T.self == Double.self { return unsafeBitCast(try readDouble(at: index), to: T.self) }
        if T.self == Bool.self { return unsafeBitCast(try readBool(at: index), to: T.self) }
        return try readOther(type, at: index)
    }

    private func readOther<T: Decodable>(_ type: T.Type, at index: Int32) throws -> T {
        if let value = try readOtherKnown(type, at: index) { return value }
        do {
            return try T(from: PortableDecoder(document: self, index: index))
        } catch {
            noteFailure(error, at: index)
            throw error
        }
    }

    /// Not inlined, to keep its locals out of the stack frames of nested values.
    @inline(never)
    private func readOtherKnown<T: Decodable>(_ type: T.Type, at index: Int32) throws -> T? {
        if T.self == Int64.self { return unsafeBitCast(try readInteger(Int64.self, at: index), to: T.self) }
        if T.self == Int32.self { return unsafeBitCast(try readInteger(Int32.self, at: index), to: T.self) }
        if T.self == Int16.self { return unsafeBitCast(try readInteger(Int16.self, at: index), to: T.self) }
        if T.self == Int8.self { return unsafeBitCast(try readInteger(Int8.self, at: index), to: T.self) }
        if T.self == UInt.self { return unsafeBitCast(try readInteger(UInt.self, at: index), to: T.self) }
        if T.self == UInt64.self { return unsafeBitCast(try readInteger(UInt64.self, at: index), to: T.self) }
        if T.self == UInt32.self { return unsafeBitCast(try readInteger(UInt32.self, at: index), to: T.self) }
        if T.self == UInt16.self { return unsafeBitCast(try readInteger(UInt16.self, at: index), to: T.self) }
        if T.self == UInt8.self { return unsafeBitCast(try readInteger(UInt8.self, at: index), to: T.self) }
        if T.self == Int128.self { return unsafeBitCast(try readInteger(Int128.self, at: index), to: T.self) }
        if T.self == UInt128.self { return unsafeBitCast(try readInteger(UInt128.self, at: index), to: T.self) }
        if T.self == Float.self { return unsafeBitCast(try readFloat(at: index), to: T.self) }
        if T.self == Date.self { return unsafeBitCast(try readDate(at: index), to: T.self) }
        if T.self == Decimal.self { return unsafeBitCast(try readDecimal(at: index), to: T.self) }
        if T.self == Data.self { return unsafeBitCast(try readData(at: index), to: T.self) }
        if T.self == UUID.self { return unsafeBitCast(try readUUID(at: index), to: T.self) }
        if T.self == URL.self { return unsafeBitCast(try readURL(at: index), to: T.self) }
        if T.self == JSONValue.self { return unsafeBitCast(value(at: index), to: T.self) }
        return nil
    }

    private func readDate(at index: Int32) throws -> Date {
        guard kind(at: index).isString else { throw mismatch(Date.self, "an RFC 3339 date-time string", at: index) }
        guard let date = PortableDate.date(from: string(at: index)) else {
            throw corrupted("expected an RFC 3339 date-time, found another string", at: index)
        }
        return date
    }

    private func readDecimal(at index: Int32) throws -> Decimal {
        let text: String
        if kind(at: index).isNumber {
            text = String(decoding: slice(at: index), as: UTF8.self)
        } else if kind(at: index).isString {
            text = string(at: index)
        } else {
            throw mismatch(Decimal.self, "a decimal as a string or number", at: index)
        }
        // Decimal reads the longest prefix that it understands; the grammar of JSON numbers keeps the rest out.
        guard JSONNumber(text: text) != nil, let decimal = Decimal(string: text), decimal.isFinite else {
            throw corrupted("expected a decimal in the range of Decimal", at: index)
        }
        return decimal
    }

    private func readData(at index: Int32) throws -> Data {
        guard kind(at: index).isString else { throw mismatch(Data.self, "a base64 string", at: index) }
        guard let data = Data(base64Encoded: string(at: index)) else {
            throw corrupted("expected base64, found another string", at: index)
        }
        return data
    }

    private func readUUID(at index: Int32) throws -> UUID {
        guard kind(at: index).isString else { throw mismatch(UUID.self, "a UUID string", at: index) }
        guard let uuid = UUID(uuidString: string(at: index)) else {
            throw corrupted("expected a UUID, found another string", at: index)
        }
        return uuid
    }

    private func readURL(at index: Int32) throws -> URL {
        guard kind(at: index).isString else { throw mismatch(URL.self, "a URL string", at: index) }
        guard let url = URL(string: string(at: index)) else {
            throw corrupted("expected a URL, found another string", at: index)
        }
        return url
    }
}
