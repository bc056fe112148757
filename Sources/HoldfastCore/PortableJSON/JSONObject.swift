// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The members of a JSON object in their order, each key once.
///
/// Keys are compared byte by byte as JSON does, not by Unicode equivalence as `String` does. Equality takes the
/// order into account, because the order is part of the text that is stored.
package struct JSONObject: Sendable, Hashable {
    /// One key with its value.
    package struct Member: Sendable, Hashable {
        package var key: String
        package var value: JSONValue

        package init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    package private(set) var members: [Member]

    package init() {
        members = []
    }

    /// A repeated key keeps its first place and takes the last value, as in Python and JavaScript.
    package init(_ members: some Sequence<Member>) {
        self.members = []
        var places: [JSONKey: Int] = [:]
        for member in members {
            if let place = places[JSONKey(member.key)] {
                self.members[place].value = member.value
            } else {
                places[JSONKey(member.key)] = self.members.count
                self.members.append(member)
            }
        }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }
    package var keys: [String] { members.map(\.key) }

    /// The value of a key. Setting a new key appends it; setting nil removes the key.
    package subscript(key: String) -> JSONValue? {
        get {
            place(of: key).map { members[$0].value }
        }
        set {
            switch (place(of: key), newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil): members.remove(at: place)
            case (nil, let value?): members.append(Member(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// This object with the members of `other` added; where both have a key, `other` wins.
    package func merging(_ other: JSONObject) -> JSONObject {
        JSONObject(members + other.members)
    }

    private func place(of key: String) -> Int? {
        members.firstIndex { JSONKey($0.key) == JSONKey(key) }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements.map { Member(key: $0.0, value: $0.1) })
    }
}

/// A key compared by its bytes: `String` calls "é" and "e\u{301}" equal, but they name two different members.
struct JSONKey: Hashable {
    private let text: String

    init(_ text: String) {
        self.text = text
    }

    static func == (left: JSONKey, right: JSONKey) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
