// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Why a system database cannot be used as it is. The message names the culprit and the cure.
///
/// Trouble with the connection is not among these: it stays a `PostgresError`, whose `isTransient` says whether waiting
/// helps.
package struct MigrationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of refusal. Open: match the members that matter and treat the rest alike.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        package let description: String

        /// A configured schema name is blank or impossible.
        package static let invalidSchemaName = Code(description: "invalidSchemaName")
        /// The server is not Postgres 14 or newer.
        package static let unsupportedServer = Code(description: "unsupportedServer")
        /// The database does not exist, and could not or should not be created.
        package static let databaseMissing = Code(description: "databaseMissing")
        /// The schema is missing or older than this build needs, and migrations are off.
        package static let behind = Code(description: "behind")
        /// The recorded version belongs to the private numbering of another SDK.
        package static let unknownLineage = Code(description: "unknownLineage")
        /// The schema is laid out for sharding, where every statement must name a shard key.
        package static let sharded = Code(description: "sharded")
        /// The schema holds tables of ours that are not ours.
        package static let foreignLayout = Code(description: "foreignLayout")
        /// The role may not do what has to be done.
        package static let insufficientPrivilege = Code(description: "insufficientPrivilege")
        /// Something in the database kept a migration from being finished.
        package static let blocked = Code(description: "blocked")
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code): \(message)" }
}
