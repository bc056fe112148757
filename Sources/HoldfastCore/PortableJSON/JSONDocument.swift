// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A parsed JSON text as a flat list of nodes in document order.
///
/// Decoding reads the nodes in place, so that a typed value is built without a tree in between. The path of a node
/// is not stored but found again when an error needs it.
final class JSONDocument {
    /// The text in UTF-8 and one zero byte behind it, which ends every scan without a bounds test.
    let bytes: [UInt8]
    let nodes: [JSONNode]
    /// Where the last error came from, and its type.
    private var failure: (node: Int32, type: any Error.Type)?

    init(bytes: [UInt8], nodes: [JSONNode]) {
        self.bytes = bytes
        self.nodes = nodes
    }

    /// Containers hand out negative indexes for members that do not exist: `~index` is the container.
    func kind(at index: Int32) -> JSONNode.Kind {
        index < 0 ? .null : nodes[Int(index)].kind
    }

    /// The index of a member's value. Of a repeated key the last one counts, as in Python, JavaScript and Go.
    func member(_ key: String, of object: Int32) -> Int32? {
        var key = key
        return key.withUTF8 { key in
            var found: Int32?
            var index = object + 1
            for _ in 0..<nodes[Int(object)].extent {
                if matches(key, at: index) { found = index + 1 }
                index = nodes[Int(index) + 1].next
            }
            return found
        }
    }

    private func matches(_ key: UnsafeBufferPointer<UInt8>, at index: Int32) -> Bool {
        let node = nodes[Int(index)]
        guard node.kind == .string else {
            return string(at: index).utf8.elementsEqual(key)
        }
        let start = Int(node.start)
        guard Int(node.extent) - start == key.count else { return false }
        for offset in 0..<key.count where bytes[start + offset] != key[offset] {
            return false
        }
        return true
    }

    /// The keys of an object with the index of each value.
    func members(of object: Int32) -> [(key: String, value: Int32)] {
        var members: [(key: String, value: Int32)] = []
        members.reserveCapacity(Int(nodes[Int(object)].extent))
        var index = object + 1
        for _ in 0..<nodes[Int(object)].extent {
            members.append((string(at: index), index + 1))
            index = nodes[Int(index) + 1].next
        }
        return members
    }

    /// The node as a value of its own. Recursion is bounded by the depth limit of the parser.
    func value(at index: Int32) -> JSONValue {
        switch kind(at: index) {
        case .null: return .null
        case .true: return .bool(true)
        case .false: return .bool(false)
        case .integer, .number: return .number(JSONNumber(unchecked: String(decoding: slice(at: index), as: UTF8.self)))
        case .string, .escapedString: return .string(string(at: index))
        case .array:
            var elements: [JSONValue] = []
            elements.reserveCapacity(Int(nodes[Int(index)].extent))
            var element = index + 1
            for _ in 0..<nodes[Int(index)].extent {
                elements.append(value(at: element))
                element = nodes[Int(element)].next
            }
            return .array(elements)
        case .object:
            return .object(
                JSONObject(
                    members(of: index).lazy.map { JSONObject.Member(key: $0.key, value: self.value(at: $0.value)) }
                )
            )
        }
    }
}

// MARK: - Paths

extension JSONDocument {
    /// The keys that lead from the root to a node.
    func path(to index: Int32) -> [any CodingKey] {
        let target = index < 0 ? ~index : index
        var path: [any CodingKey] = []
        var container: Int32 = 0
        while container != target, let step = step(from: container, towards: target) {
            path.append(step.key)
            container = step.node
        }
        return path
    }

    private func step(from container: Int32, towards target: Int32) -> (key: any CodingKey, node: Int32)? {
        let node = nodes[Int(container)]
        guard node.kind == .array || node.kind == .object else { return nil }
        var index = container + 1
        for position in 0..<Int(node.extent) {
            let value = node.kind == .object ? index + 1 : index
            let next = nodes[Int(value)].next
            if target < next {
                return (node.kind == .object ? JSONNameKey(string(at: index)) : JSONIndexKey(position), value)
            }
            index = next
        }
        return nil
    }

    /// Remembers where an error came from. The innermost value notes first and its containers keep its note. A note
    /// from elsewhere, or of another type, is of an error that was caught, and is replaced.
    func noteFailure(_ error: any Error, at index: Int32) {
        let place = index < 0 ? ~index : index
        if let failure, failure.type == type(of: error),
            failure.node >= place, failure.node < nodes[Int(place)].next
        {
            return
        }
        failure = (place, type(of: error))
    }

    /// For an error that is made here, and so replaces every earlier one.
    func noteOwnFailure(at index: Int32) {
        failure = (index < 0 ? ~index : index, DecodingError.self)
    }

    var failurePath: [any CodingKey] {
        path(to: failure?.node ?? 0)
    }
}

/// One value or key of a document.
struct JSONNode {
    enum Kind: UInt8 {
        case null, `true`, `false`
        /// Digits only, perhaps with a sign.
        case integer
        /// A number with a fraction or an exponent.
        case number
        case string
        /// A string with at least one backslash.
        case escapedString
        case array
        case object

        var isNumber: Bool { self == .integer || self == .number }
        var isString: Bool { self == .string || self == .escapedString }
    }

    var kind: Kind
    /// Offset of the first byte; of a string the first behind the quote.
    var start: Int32
    /// For scalars the offset behind the last byte, for containers the number of elements or members.
    var extent: Int32
    /// Index of the node behind this one and everything in it. While a container is open: its parent, or -1.
    var next: Int32
}
