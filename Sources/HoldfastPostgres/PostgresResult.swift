// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The rows of one query.
package struct PostgresResult: Sendable, RandomAccessCollection {
    private let handle: ResultHandle

    init(adopting result: OpaquePointer) {
        handle = ResultHandle(adopting: result)
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { handle.rowCount }

    package subscript(position: Int) -> PostgresRow {
        precondition(position >= 0 && position < handle.rowCount, "row \(position) of \(handle.rowCount)")
        return PostgresRow(handle: handle, row: position)
    }

    /// How many rows the statement inserted, updated, deleted or selected; 0 for statements without a count.
    package var affectedRows: Int { Int(String(cString: PQcmdTuples(handle.pointer))) ?? 0 }

    /// The command tag, such as `INSERT 0 1` or `ROLLBACK`.
    package var commandTag: String { String(cString: PQcmdStatus(handle.pointer)) }

    /// The names of the columns.
    package var columns: [String] {
        (0..<handle.columnCount).map { handle.columnName($0) }
    }
}

/// Owns a `PGresult`.
///
/// `@unchecked`: after libpq has handed a result over nothing writes to it any more, the functions used here only read
/// it, and `PQclear` runs when the last reference is gone.
final class ResultHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    let rowCount: Int
    let columnCount: Int

    init(adopting pointer: OpaquePointer) {
        self.pointer = pointer
        rowCount = Int(PQntuples(pointer))
        columnCount = Int(PQnfields(pointer))
    }

    deinit {
        PQclear(pointer)
    }

    func columnName(_ column: Int) -> String {
        PQfname(pointer, Int32(column)).map { String(cString: $0) } ?? ""
    }

    /// The index of a column by its exact name.
    func columnIndex(_ name: String) -> Int? {
        name.withCString { wanted in
            (0..<columnCount).first { PQfname(pointer, Int32($0)).map { strcmp($0, wanted) == 0 } ?? false }
        }
    }

    /// The bytes of a value in text format; `nil` is NULL.
    func bytes(row: Int, column: Int) -> UnsafeBufferPointer<UInt8>? {
        let row = Int32(row)
        let column = Int32(column)
        guard PQgetisnull(pointer, row, column) == 0, let value = PQgetvalue(pointer, row, column) else { return nil }
        let count = Int(PQgetlength(pointer, row, column))
        return UnsafeBufferPointer(start: UnsafeRawPointer(value).assumingMemoryBound(to: UInt8.self), count: count)
    }
}
