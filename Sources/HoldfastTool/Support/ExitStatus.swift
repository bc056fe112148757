// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// What the tool tells the script that called it. The numbers are documented and stay.
enum ExitStatus: Int32, Sendable {
    case done = 0
    /// The database refused, no executor answered, or the output could not be written.
    case failed = 1
    /// There is no such workflow, version or executor.
    case notFound = 3
    /// No connection to the database.
    case unreachable = 4
    /// There is no system database, or it is old, sharded or somebody else's.
    case unusableSchema = 5
    /// Nothing was changed, or only a part of what was asked for.
    case unchanged = 6
    /// `EX_USAGE`, as swift-argument-parser has it.
    case usage = 64

    static let help = """
        EXIT CODES
          0   done
          1   failed: database refused, no executor answered, output not written
          3   not found: no such workflow, version or executor; nothing was changed
          4   no connection to the database, or it refused the login
          5   the schema is missing, too old, sharded or not Holdfast's
          6   nothing was changed, or only a part; which part is said
          64  called wrongly
        """
}

func exitProcess(_ status: ExitStatus) -> Never { exit(status.rawValue) }
