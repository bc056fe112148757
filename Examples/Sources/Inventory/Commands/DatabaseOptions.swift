// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Foundation
import Holdfast
import Logging

/// The options every command has: where the system database is.
struct DatabaseOptions: ParsableArguments {
    @Option(help: "The Postgres to work with. Default: the environment variable HOLDFAST_DATABASE_URL.")
    var databaseURL: String?

    /// A report holds a line per file, and the list of a directory a path per file: more than the default for either.
    static let payloadLimits = PayloadLimits(maxBytes: 64 << 20)

    func configuration() throws -> DatabaseConfiguration {
        guard
            let url = self.databaseURL ?? ProcessInfo.processInfo.environment["HOLDFAST_DATABASE_URL"],
            !url.isEmpty
        else {
            throw ValidationError("give --database-url, or set HOLDFAST_DATABASE_URL")
        }
        return DatabaseConfiguration(url: url)
    }

    /// Runs `body` with a client, and closes it.
    func withClient<R>(_ body: (HoldfastClient) async throws -> R) async throws -> R {
        var logger = Logger(label: "inventory", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = .warning
        let client = try HoldfastClient(
            database: try self.configuration(),
            applicationName: Inventory.application,
            payloadLimits: Self.payloadLimits,
            logger: logger
        )
        let result: Result<R, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        return try result.get()
    }
}
