// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The portable JSON format: what every DBOS language can read and write.
///
/// Written text is compact, with keys in the order the type encodes them, `/` and non-ASCII characters as they are.
/// Types that encode in no fixed order keep none: the members of a `Dictionary` and the elements of a `Set` come in
/// another order in every process. A type that encodes one key twice gets both members; readers take the last.
///
/// | Swift | JSON |
/// |---|---|
/// | `Date` | `"2025-06-15T10:30:00.000Z"`, UTC, rounded to milliseconds, years 0 to 9999 |
/// | `Decimal` | string in plain notation, `"1.5"` |
/// | `Data` | base64 string |
/// | `UUID`, `URL` | string |
/// | `Double`, `Float` | shortest digits that read back, `1.0` for whole numbers |
///
/// NaN and the infinities are refused. So is U+0000 in strings and keys, which Postgres can neither store as a
/// character nor take from an escape in its JSON functions.
package enum PortableJSON {
    package static func encode<T: Encodable>(_ value: T) throws(PortableJSONError) -> String {
        try encode(value, prefix: "", suffix: "", depth: 0)
    }

    /// Encodes a value as part of a document whose other text is given: `depth` containers are open around it.
    static func encode<T: Encodable>(
        _ value: T,
        prefix: String,
        suffix: String,
        depth: Int
    ) throws(PortableJSONError) -> String {
        let sink = JSONSink(depth: depth)
        sink.bytes.append(contentsOf: prefix.utf8)
        do {
            try sink.appendRoot(value)
        } catch {
            throw PortableJSONError(encoding: error, at: sink.notes.failure?.path ?? [])
        }
        if let misuse = sink.notes.misuse { throw PortableJSONError(encoding: misuse, at: []) }
        var bytes = sink.finish()
        bytes.append(contentsOf: suffix.utf8)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads any valid JSON: blanks, keys in any order, members the type does not know, of repeated keys the last.
    ///
    /// Missing members and `null` both stand for nil, integers for `Double`, integral numbers such as `42.0` for
    /// integers, numbers for `Decimal`, and for `Date` every form of RFC 3339, a date alone, and a time without
    /// offset, which is taken as UTC.
    package static func decode<T: Decodable>(_ type: T.Type, from text: String) throws(PortableJSONError) -> T {
        let document = try JSONParser.document(of: text)
        do {
            return try document.read(type, at: 0)
        } catch {
            throw PortableJSONError(decoding: error, at: document.failurePath)
        }
    }

    package static func decode<T: Decodable>(_ type: T.Type, from value: JSONValue) throws(PortableJSONError) -> T {
        try decode(type, from: text(of: value))
    }

    /// Strict by RFC 8259; documents nested deeper than 256 levels are refused.
    package static func parse(_ text: String) throws(PortableJSONError) -> JSONValue {
        try JSONParser.document(of: text).value(at: 0)
    }

    /// The compact text of a value. U+0000 is written as an escape here, because parsed text may contain it.
    package static func text(of value: JSONValue) -> String {
        var bytes: [UInt8] = []
        bytes.append(json: value)
        return String(decoding: bytes, as: UTF8.self)
    }
}
