// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The key of an array element in a coding path.
struct JSONIndexKey: CodingKey {
    let index: Int

    init(_ index: Int) {
        self.index = index
    }

    init?(intValue: Int) {
        index = intValue
    }

    init?(stringValue: String) {
        return nil
    }

    var intValue: Int? { index }
    var stringValue: String { "Index \(index)" }
}

/// The key of an object member whose name is only known at run time.
struct JSONNameKey: CodingKey {
    let stringValue: String

    init(_ name: String) {
        stringValue = name
    }

    init?(stringValue: String) {
        self.stringValue = stringValue
    }

    init?(intValue: Int) {
        stringValue = String(intValue)
    }

    var intValue: Int? { nil }

    /// What the standard library calls the member that holds the superclass.
    static let `super` = JSONNameKey("super")
}
