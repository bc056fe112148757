// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A JSON value that keeps the order of keys and the text of numbers.
///
/// For payloads whose type is not known here: arguments and error data of other languages.
package enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByStringLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) {
        self = .null
    }

    package init(booleanLiteral value: Bool) {
        self = .bool(value)
    }

    package init(stringLiteral value: String) {
        self = .string(value)
    }

    package init(integerLiteral value: Int64) {
        self = .number(JSONNumber(value))
    }

    package init(arrayLiteral elements: JSONValue...) {
        self = .array(elements)
    }

    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member(key: $0.0, value: $0.1) }))
    }
}

/// The portable coders copy a `JSONValue` as it is and never come here; this is for other coders, where numbers
/// keep their value but not their text.
extension JSONValue: Codable {
    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        case .bool(let value):
            try value.encode(to: encoder)
        case .number(let number):
            if let value = number.asInt64 {
                try value.encode(to: encoder)
            } else if let value = number.asUInt64 {
                try value.encode(to: encoder)
            } else if let value = number.asDouble {
                try value.encode(to: encoder)
            } else {
                let context = EncodingError.Context(
                    codingPath: encoder.codingPath,
                    debugDescription: "number \(number.text) does not fit in Double"
                )
                throw EncodingError.invalidValue(number, context)
            }
        case .string(let value):
            try value.encode(to: encoder)
        case .array(let elements):
            try elements.encode(to: encoder)
        case .object(let object):
            var container = encoder.container(keyedBy: JSONNameKey.self)
            for member in object.members {
                try container.encode(member.value, forKey: JSONNameKey(member.key))
            }
        }
    }

    package init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: JSONNameKey.self) {
            let members = try container.allKeys.map { key in
                JSONObject.Member(key: key.stringValue, value: try container.decode(JSONValue.self, forKey: key))
            }
            self = .object(JSONObject(members))
            return
        }
        if let elements = try? [JSONValue](from: decoder) {
            self = .array(elements)
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .number(JSONNumber(value))
        } else if let value = try? container.decode(UInt64.self) {
            self = .number(JSONNumber(value))
        } else if let value = try? container.decode(Double.self), let number = JSONNumber(value) {
            self = .number(number)
        } else {
            self = .string(try container.decode(String.self))
        }
    }
}
