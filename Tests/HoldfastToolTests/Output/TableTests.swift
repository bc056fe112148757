// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastTool

@Suite("Tables") struct TableTests {
    private let plain = Style(isColored: false)

    @Test("every column is as wide as its widest cell, and lines end without blanks")
    func widths() {
        var table = Table([.left("ID"), .right("COUNT"), .left("NOTE")])
        table.append(["a-long-identifier", Table.Cell(7), "first"])
        table.append(["b", Table.Cell(123_456), Table.Cell(String?.none)])
        #expect(
            table.rendered(self.plain) == """
                ID                  COUNT  NOTE
                a-long-identifier       7  first
                b                  123456  -

                """
        )
    }

    @Test("without rows only the titles are left")
    func empty() {
        #expect(Table([.left("A"), .left("B")]).rendered(self.plain) == "A  B\n")
    }

    @Test("wide characters take two columns")
    func wideCharacters() {
        var table = Table([.left("N"), .left("X")])
        table.append(["日本", "x"])
        table.append(["e\u{301}", "y"])
        #expect(table.rendered(self.plain) == "N     X\n日本  x\ne\u{301}     y\n")
    }

    @Test("what could move the cursor or the columns is written out")
    func controls() {
        var table = Table([.left("N"), .left("X")])
        table.append(["a\tb\nc\r", "\u{1B}[31mred\u{9B}\u{202E}"])
        let line = table.rendered(self.plain).split(separator: "\n")[1]
        #expect(line == "a\\tb\\nc\\r  \\u{1b}[31mred\\u{9b}\\u{202e}")
    }

    @Test("colors do not change the alignment")
    func colors() {
        var table = Table([.left("S"), .right("N")])
        table.append([Table.Cell("ERROR", .red), Table.Cell(12, .green)])
        let colored = table.rendered(Style(isColored: true))
        #expect(colored.contains("\u{1B}[31mERROR\u{1B}[0m  \u{1B}[32m12\u{1B}[0m\n"))
        let codes = /\u{1B}\[\d+m/
        #expect(colored.replacing(codes, with: "") == table.rendered(self.plain))
    }

    @Test("names stand before their values; what has none is left out")
    func fields() {
        var fields = Fields()
        fields.add("ID", "one")
        fields.add("Parent", nil)
        fields.add("Application", "shop")
        #expect(fields.rendered(self.plain) == "ID           one\nApplication  shop\n")
        #expect(Fields().rendered(self.plain).isEmpty)
    }

    @Test("a cut text says that it is cut")
    func eliding() {
        #expect(Printable.elided("12345", to: 5) == "12345")
        #expect(Printable.elided("123456", to: 5) == "1234…")
    }
}
