// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One row of a result. Columns are addressed by position or by exact name.
package struct PostgresRow: Sendable {
    let handle: ResultHandle
    let row: Int

    package func string(_ column: Int) throws(PostgresError) -> String {
        try require(optionalString(column), column)
    }

    package func optionalString(_ column: Int) throws(PostgresError) -> String? {
        try text(column)
    }

    package func int(_ column: Int) throws(PostgresError) -> Int {
        try require(optionalInt(column), column)
    }

    package func optionalInt(_ column: Int) throws(PostgresError) -> Int? {
        try parse(column, as: "an integer") { Int($0) }
    }

    package func bool(_ column: Int) throws(PostgresError) -> Bool {
        try require(optionalBool(column), column)
    }

    package func optionalBool(_ column: Int) throws(PostgresError) -> Bool? {
        try parse(column, as: "a boolean") { $0 == "t" ? true : $0 == "f" ? false : nil }
    }

    package func double(_ column: Int) throws(PostgresError) -> Double {
        try require(optionalDouble(column), column)
    }

    package func optionalDouble(_ column: Int) throws(PostgresError) -> Double? {
        try parse(column, as: "a number") { Double($0) }
    }

    private func text(_ column: Int) throws(PostgresError) -> String? {
        guard column >= 0, column < handle.columnCount else {
            throw PostgresError(.decoding, "there is no column \(column); the result has \(handle.columnCount)")
        }
        return handle.bytes(row: row, column: column).map { String(decoding: $0, as: UTF8.self) }
    }

    private func parse<Value>(
        _ column: Int,
        as kind: String,
        _ transform: (String) -> Value?
    ) throws(PostgresError) -> Value? {
        guard let text = try text(column) else { return nil }
        guard let value = transform(text) else {
            throw PostgresError(.decoding, "\(name(column)) is not \(kind): \"\(text.prefix(100))\"")
        }
        return value
    }

    private func require<Value>(_ value: Value?, _ column: Int) throws(PostgresError) -> Value {
        guard let value else { throw PostgresError(.decoding, "\(name(column)) is NULL") }
        return value
    }

    private func name(_ column: Int) -> String {
        "column \(column) (\"\(handle.columnName(column))\")"
    }
}

extension PostgresRow {
    package func string(_ column: String) throws(PostgresError) -> String { try string(index(column)) }
    package func optionalString(_ column: String) throws(PostgresError) -> String? { try optionalString(index(column)) }
    package func int(_ column: String) throws(PostgresError) -> Int { try int(index(column)) }
    package func optionalInt(_ column: String) throws(PostgresError) -> Int? { try optionalInt(index(column)) }
    package func bool(_ column: String) throws(PostgresError) -> Bool { try bool(index(column)) }
    package func optionalBool(_ column: String) throws(PostgresError) -> Bool? { try optionalBool(index(column)) }
    package func double(_ column: String) throws(PostgresError) -> Double { try double(index(column)) }
    package func optionalDouble(_ column: String) throws(PostgresError) -> Double? { try optionalDouble(index(column)) }

    private func index(_ column: String) throws(PostgresError) -> Int {
        guard let index = handle.columnIndex(column) else {
            throw PostgresError(.decoding, "there is no column \"\(column)\"")
        }
        return index
    }
}
