// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Rows under titles, each column as wide as its widest cell.
struct Table: Sendable {
    struct Column: Sendable {
        enum Alignment: Sendable { case left, right }

        var title: String
        var alignment: Alignment

        static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    struct Cell: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        let text: String
        let color: Style.Color?

        /// `nil` and the empty text are shown as a hyphen, so that no cell is blank and every row has as many words.
        init(_ text: String?, _ color: Style.Color? = nil) {
            let isEmpty = text?.isEmpty ?? true
            self.text = isEmpty ? "-" : Printable.line(text ?? "")
            self.color = isEmpty ? .faint : color
        }

        init(_ number: Int?, _ color: Style.Color? = nil) { self.init(number.map(String.init), color) }
        init(stringLiteral text: String) { self.init(text) }
    }

    var columns: [Column]
    private(set) var rows: [[Cell]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func append(_ row: [Cell]) {
        precondition(row.count == self.columns.count, "a row has as many cells as there are columns")
        self.rows.append(row)
    }

    /// The lines, each with its end. There are no blanks at the ends of lines and no tabs anywhere.
    ///
    /// - Parameter hasTitles: Whether the first line names the columns.
    func rendered(_ style: Style, hasTitles: Bool = true) -> String {
        let titles = self.columns.map { Cell($0.title, .bold) }
        let rows = (hasTitles ? [titles] : []) + self.rows
        var widths = self.columns.map { _ in 0 }
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], Printable.width(cell.text)) }
        }
        return rows.map { self.line($0, widths, style) + "\n" }.joined()
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ style: Style) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let blanks = String(repeating: " ", count: widths[index] - Printable.width(cell.text))
            let text = style.paint(cell.text, cell.color)
            let isLast = index == cells.count - 1
            line += self.columns[index].alignment == .right ? blanks + text : isLast ? text : text + blanks
            if !isLast { line += "  " }
        }
        return line
    }
}

/// Names with their values, one below the other.
struct Fields: Sendable {
    private var table = Table([.left("Name"), .left("Value")])

    /// Adds a line, unless there is no value.
    mutating func add(_ name: String, _ value: String?, _ color: Style.Color? = nil) {
        guard let value else { return }
        self.table.append([Table.Cell(name, .bold), Table.Cell(value, color)])
    }

    func rendered(_ style: Style) -> String { self.table.rendered(style, hasTitles: false) }
}
