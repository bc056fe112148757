// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// An error as all languages record it: `{"name":…,"message":…,"code":…,"data":…}`.
package struct PortableErrorPayload: Sendable, Hashable {
    /// The name of the error's type.
    package var name: String
    package var message: String
    /// A number or a string; anything else that a foreign writer puts there is not kept.
    package var code: JSONValue?
    package var data: JSONValue?

    package init(name: String, message: String, code: JSONValue? = nil, data: JSONValue? = nil) {
        self.name = name
        self.message = message
        self.code = code
        self.data = data
    }

    /// Reads any text: one that is not the documented object becomes the message of an error named "Error".
    package init(parsing text: String) {
        guard
            case .object(let object)? = try? PortableJSON.parse(text),
            case .string(let name)? = object["name"],
            case .string(let message)? = object["message"]
        else {
            self.init(name: "Error", message: text)
            return
        }
        let code: JSONValue? =
            switch object["code"] {
            case .number(let number): .number(number)
            case .string(let string): .string(string)
            default: nil
            }
        self.init(name: name, message: message, code: code, data: object["data"])
    }

    /// The text to store. As in Python `code` is always there and `data` only when the error has some. U+0000 is
    /// written as an escape: an error must be recordable whatever its message.
    package func text() -> String {
        var object: JSONObject = ["name": .string(name), "message": .string(message), "code": code ?? .null]
        if let data { object["data"] = data }
        return PortableJSON.text(of: .object(object))
    }
}
