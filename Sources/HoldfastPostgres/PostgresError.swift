// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What went wrong with a connection, a query or the pool.
package struct PostgresError: Error, CustomStringConvertible {
    /// The kind of failure. Open: match the members that matter and treat the rest alike.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        package let description: String

        /// No connection could be made.
        package static let connectionFailed = Code(description: "connectionFailed")
        /// The connection is gone. Whether the query took effect is unknown.
        package static let connectionLost = Code(description: "connectionLost")
        /// The server answered with an error; `sqlState` says which.
        package static let server = Code(description: "server")
        /// A value is not what the caller asked for.
        package static let decoding = Code(description: "decoding")
        /// The pool was closed.
        package static let poolClosed = Code(description: "poolClosed")
        /// No connection became free in time.
        package static let poolTimeout = Code(description: "poolTimeout")
        /// The calling task was cancelled.
        package static let cancelled = Code(description: "cancelled")
        /// The connection string cannot be understood.
        package static let invalidConfiguration = Code(description: "invalidConfiguration")
        /// A parameter cannot be sent to Postgres.
        package static let unencodable = Code(description: "unencodable")
    }

    package var code: Code
    /// The five characters of the SQL standard, when the server or the login gave them.
    package var sqlState: String?
    package var message: String
    package var detail: String?
    package var hint: String?
    /// The constraint the server names.
    package var constraint: String?
    /// The beginning of the SQL text.
    package var sql: String?
    /// Which query of a pipeline failed.
    package var queryIndex: Int?

    package init(_ code: Code, _ message: String, sqlState: String? = nil) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
    }

    package var description: String {
        var text = "\(code)"
        if let sqlState { text += " \(sqlState)" }
        text += ": \(message)"
        if let detail { text += "; detail: \(detail)" }
        if let hint { text += "; hint: \(hint)" }
        if let constraint { text += "; constraint: \(constraint)" }
        if let queryIndex { text += "; query \(queryIndex) of a pipeline" }
        if let sql { text += "; in: \(sql)" }
        return text
    }

    /// The first part of an SQL text: enough to recognise it, short enough for a log line.
    static func excerpt(_ sql: String) -> String {
        sql.count <= 200 ? sql : String(sql.prefix(200)) + "…"
    }
}

extension PostgresError {
    /// Whether the same operation may succeed later, unchanged.
    ///
    /// A lost connection leaves open whether the work was committed; whoever repeats must be idempotent.
    package var isTransient: Bool {
        switch code {
        case .connectionLost, .poolTimeout: true
        // Without an SQLSTATE nobody answered: refused, unreachable, timed out.
        case .connectionFailed: sqlState.map(Self.isTransient(sqlState:)) ?? true
        case .server: sqlState.map(Self.isTransient(sqlState:)) ?? false
        default: false
        }
    }

    /// Whether what was sent is to blame: a value that does not fit, a broken constraint, a limit of the server. Sent again it
    /// would be refused again. Everything else the server says is about its state or its settings, which change: a statement
    /// or lock time-out, a server that is read-only after a switchover, a privilege that is missing.
    package var isCausedByRequest: Bool {
        switch code {
        case .server: ["21", "22", "23", "54"].contains((sqlState ?? "").prefix(2))
        case .unencodable, .decoding, .invalidConfiguration: true
        default: false
        }
    }

    /// Whether somebody held a lock for longer than the transaction was to wait for it.
    package var isLockTimeout: Bool { code == .server && sqlState == "55P03" }

    /// Whether an engine that must not give up should repeat: whenever repeating can help.
    package var isWorthRepeating: Bool { isTransient || (code == .server && !isCausedByRequest) }

    /// Connection trouble (08), lack of resources (53), operator intervention (57) other than a cancelled query,
    /// the idle-in-transaction time-out and deadlocks. Serialization failures belong to those who asked for them.
    static func isTransient(sqlState: String) -> Bool {
        switch sqlState {
        case "57014": false
        case "25P03", "40P01": true
        default: ["08", "53", "57"].contains(sqlState.prefix(2))
        }
    }
}
