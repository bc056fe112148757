// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One parameter of a query. `nil` inside is SQL NULL.
package enum PostgresBinding: Sendable, Hashable {
    case text(String?)
    case int4(Int32?)
    case int8(Int64?)
    case bool(Bool?)
    case double(Double?)
    case textArray([String?])
    case int4Array([Int32?])
    case int8Array([Int64?])
    case boolArray([Bool?])
    case doubleArray([Double?])
}

/// SQL with its parameters `$1`, `$2`, ….
///
/// Parameter types are declared to the server, so a text for a `jsonb` or `uuid` column needs a cast: `$1::jsonb`.
package struct PostgresQuery: Sendable, Hashable, ExpressibleByStringLiteral {
    package var sql: String
    package var bindings: [PostgresBinding]

    package init(_ sql: String, _ bindings: [PostgresBinding] = []) {
        self.sql = sql
        self.bindings = bindings
    }

    package init(stringLiteral value: String) {
        self.init(value)
    }
}
