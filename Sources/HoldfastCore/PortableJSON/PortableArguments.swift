// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The arguments of a workflow as all languages write them: `{"positionalArgs":[…],"namedArgs":{…}}`.
package struct PortableArguments: Sendable, Hashable {
    package var positional: [JSONValue]
    package var named: JSONObject

    package init(positional: [JSONValue] = [], named: JSONObject = JSONObject()) {
        self.positional = positional
        self.named = named
    }

    /// Either key may be missing or null; other keys are ignored.
    package init(parsing text: String) throws(PortableJSONError) {
        guard case .object(let envelope) = try PortableJSON.parse(text) else {
            throw PortableJSONError(
                kind: .typeMismatch,
                message: "expected an object with positionalArgs and namedArgs"
            )
        }
        switch envelope["positionalArgs"] {
        case nil, .null: positional = []
        case .array(let elements): positional = elements
        default:
            throw PortableJSONError(kind: .typeMismatch, path: "positionalArgs", message: "expected an array or null")
        }
        switch envelope["namedArgs"] {
        case nil, .null: named = JSONObject()
        case .object(let members): named = members
        default:
            throw PortableJSONError(kind: .typeMismatch, path: "namedArgs", message: "expected an object or null")
        }
    }

    /// The text of these arguments. Fails only for values that must not be stored, such as U+0000.
    package func text() throws(PortableJSONError) -> String {
        let envelope: JSONObject = ["positionalArgs": .array(positional), "namedArgs": .object(named)]
        return try PortableJSON.encode(JSONValue.object(envelope))
    }

    /// The text for a workflow with one argument.
    package static func encode<T: Encodable>(single value: T) throws(PortableJSONError) -> String {
        try PortableJSON.encode(value, prefix: #"{"positionalArgs":["#, suffix: #"],"namedArgs":{}}"#, depth: 2)
    }

    /// The input of a workflow that takes one value:
    /// - the first positional argument; others are ignored, as in Go;
    /// - if that is an object and there are named arguments too: both, where a named one wins;
    /// - without positional arguments (or a null one): the named arguments as an object;
    /// - without any arguments: what the type reads from null or else from `{}`, such as all optionals nil.
    package func decodeInput<I: Decodable>(as type: I.Type) throws(PortableJSONError) -> I {
        switch positional.first {
        case .object(let object) where !named.isEmpty:
            return try PortableJSON.decode(type, from: .object(object.merging(named)))
        case nil where !named.isEmpty, .null where !named.isEmpty:
            return try PortableJSON.decode(type, from: .object(named))
        case let value?:
            return try PortableJSON.decode(type, from: value)
        case nil:
            return try decodeNothing(as: type)
        }
    }

    /// The input of a workflow that reads its positional arguments as a list, in order.
    package func decodeList<I: Decodable>(as type: I.Type) throws(PortableJSONError) -> I {
        try PortableJSON.decode(type, from: .array(positional))
    }

    private func decodeNothing<I: Decodable>(as type: I.Type) throws(PortableJSONError) -> I {
        do {
            return try PortableJSON.decode(type, from: .null)
        } catch let nullError {
            do {
                return try PortableJSON.decode(type, from: .object(JSONObject()))
            } catch {
                // "amount: required, but missing" says more than "expected an object, found null".
                throw error.kind == .missingField ? error : nullError
            }
        }
    }
}
