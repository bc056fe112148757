// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres

/// What an error of the database asks of whoever has to act on it. For programs that people run by hand.
package struct DatabaseFault: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// The connection string or a schema's name cannot be used.
        case misconfigured
        /// No connection could be made or kept, or the server let nobody in.
        case unreachable
        /// The database or its layout is missing or old. Migrating helps.
        case behind
        /// The database cannot be used, and migrating does not help.
        case unusable
        /// A statement asked for something that is not there, as it does in a database of another layout. What is wrong
        /// with the layout, the ``Migrator`` can tell.
        case unknownObject
        /// The server refused for another reason.
        case refused
    }

    package let kind: Kind
    /// What is wrong, without the SQL. Passwords never appear in it.
    package let message: String

    /// `nil` when the error did not come from the database.
    package init?(_ error: any Error) {
        switch error {
        case let error as PostgresError: self.init(error)
        case let error as MigrationError: self.init(error)
        case let error as HoldfastError:
            guard [.database, .schema].contains(error.code), let underlying = error.underlying else { return nil }
            self.init(underlying)
        default: return nil
        }
    }

    private init(_ error: PostgresError) {
        self.kind =
            switch error.code {
            case .invalidConfiguration: .misconfigured
            case .connectionFailed: error.sqlState == "3D000" ? .behind : .unreachable
            case .connectionLost, .poolTimeout: .unreachable
            case .server: Self.kind(sqlState: error.sqlState ?? "")
            default: .refused
            }
        self.message = ([error.message] + [error.detail, error.hint].compactMap(\.self)).joined(separator: "; ")
    }

    private static func kind(sqlState: String) -> Kind {
        switch sqlState {
        // Undefined schema, table, column and function.
        case "3F000", "42P01", "42703", "42883": .unknownObject
        // A shutdown, a crash, a start; no free connection.
        case "57P01", "57P02", "57P03", "53300": .unreachable
        default: .refused
        }
    }

    private init(_ error: MigrationError) {
        self.kind =
            switch error.code {
            case .invalidSchemaName: .misconfigured
            case .insufficientPrivilege, .blocked: .refused
            case .behind: .behind
            default: .unusable
            }
        self.message = error.message
    }
}
