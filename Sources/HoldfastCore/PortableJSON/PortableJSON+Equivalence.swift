// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension PortableJSON {
    /// Whether two texts say the same: blanks and the order of an object's members do not count. A dictionary is written in
    /// another order in every process.
    package static func isEquivalent(_ left: String, _ right: String) -> Bool {
        if left == right { return true }
        guard let left = try? self.parse(left), let right = try? self.parse(right) else { return false }
        return self.sorted(left) == self.sorted(right)
    }

    private static func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): .array(elements.map { self.sorted($0) })
        case .object(let object):
            .object(
                JSONObject(
                    object.members.sorted { $0.key < $1.key }.map { .init(key: $0.key, value: self.sorted($0.value)) }
                )
            )
        default: value
        }
    }
}
