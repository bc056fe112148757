// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("Two texts of JSON")
struct EquivalenceTests {
    @Test(
        "say the same, whatever their blanks and the order of their members",
        arguments: [
            ("1", "1", true), (#"{"a":1,"b":[2]}"#, #"{ "b": [2], "a": 1 }"#, true),
            (#"[{"a":1,"b":2}]"#, #"[{"b":2,"a":1}]"#, true), ("[1,2]", "[2,1]", false), ("1", "2", false),
            (#"{"a":1}"#, #"{"a":1,"b":null}"#, false), ("no JSON", "no JSON", true), ("no JSON", "none", false),
            ("1", "no JSON", false),
        ]
    )
    func equivalence(left: String, right: String, isSame: Bool) {
        #expect(PortableJSON.isEquivalent(left, right) == isSame)
        #expect(PortableJSON.isEquivalent(right, left) == isSame)
    }
}
