// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastTestKit

@Suite("The shelf of schemas", .timeLimit(.minutes(5)))
struct SchemaShelfTests {
    @Test("lets a test that has a turn go on when all turns are taken")
    func nested() async {
        let shelf = SchemaShelf(turns: 1)
        #expect(await shelf.take() == nil)
        #expect(await shelf.take(isNested: true) == nil)
        #expect(shelf.giveBack(emptied: "inner", isNested: true) == [])
        // The test that waits gets the turn, and the schemas that were emptied last.
        async let other = shelf.take()
        #expect(shelf.giveBack(emptied: "outer").allSatisfy { ["inner", "outer"].contains($0) })
        let schemas = await other
        #expect(schemas == "outer" || schemas == nil)
    }

    @Test("drops the schemas when nobody is left who could use them")
    func dropped() async {
        let shelf = SchemaShelf(turns: 2)
        #expect(await shelf.take() == nil)
        #expect(await shelf.take() == nil)
        #expect(shelf.giveBack(emptied: "first") == [])
        #expect(await shelf.take() == "first")
        #expect(shelf.giveBack(emptied: nil) == [])
        #expect(shelf.giveBack(emptied: "second") == ["second"])
    }
}
