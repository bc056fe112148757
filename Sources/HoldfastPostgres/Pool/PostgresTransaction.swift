// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How much a transaction sees of others.
package enum PostgresIsolation: String, Sendable {
    case readCommitted = "read committed"
    case repeatableRead = "repeatable read"
    case serializable = "serializable"
}

/// Why a transaction did not commit, with the failures of its parts kept apart.
package struct PostgresTransactionError: Error, CustomStringConvertible {
    /// No connection, or no transaction on it.
    package var beginError: PostgresError?
    /// What the body threw.
    package var bodyError: (any Error)?
    /// Rolling back after `bodyError` failed too.
    package var rollbackError: PostgresError?
    /// The body succeeded and the commit did not. If the connection was lost, it may have committed all the same.
    package var commitError: PostgresError?

    /// Whether the whole transaction may succeed later, unchanged.
    package var isTransient: Bool {
        if let beginError { return beginError.isTransient }
        if let commitError { return commitError.isTransient }
        return (bodyError as? PostgresError)?.isTransient ?? false
    }

    package var description: String {
        var parts: [String] = []
        if let beginError { parts.append("begin: \(beginError)") }
        if let bodyError { parts.append("body: \(bodyError)") }
        if let rollbackError { parts.append("rollback: \(rollbackError)") }
        if let commitError { parts.append("commit: \(commitError)") }
        return "transaction failed: " + parts.joined(separator: "; ")
    }
}

extension PostgresConnection {
    /// Runs `body` between `begin` and `commit`, or `rollback` when it throws.
    package func withTransaction<R: Sendable>(
        isolation: PostgresIsolation = .readCommitted,
        _ body: (PostgresConnection) async throws -> R
    ) async throws(PostgresTransactionError) -> R {
        do throws(PostgresError) {
            _ = try await execute(PostgresQuery("begin isolation level \(isolation.rawValue)"))
        } catch {
            throw PostgresTransactionError(beginError: error)
        }
        let value: R
        do {
            value = try await body(self)
        } catch {
            var failure = PostgresTransactionError(bodyError: error)
            do throws(PostgresError) {
                _ = try await execute("rollback")
            } catch {
                failure.rollbackError = error
            }
            throw failure
        }
        do throws(PostgresError) {
            let result = try await execute("commit")
            // The server's answer to a commit after an error which the body swallowed is no error.
            guard result.commandTag == "COMMIT" else {
                throw PostgresError(.server, "the transaction was rolled back because one of its statements had failed")
            }
        } catch {
            throw PostgresTransactionError(commitError: error)
        }
        return value
    }
}

extension PostgresPool {
    /// Runs `body` in a transaction on any connection. Errors of begin, body, rollback and commit stay apart.
    package func withTransaction<R: Sendable>(
        isolation: PostgresIsolation = .readCommitted,
        _ body: (PostgresConnection) async throws -> R
    ) async throws(PostgresTransactionError) -> R {
        let connection: PostgresConnection
        do throws(PostgresError) {
            connection = try await acquire()
        } catch {
            throw PostgresTransactionError(beginError: error)
        }
        defer { release(connection) }
        return try await connection.withTransaction(isolation: isolation, body)
    }
}
