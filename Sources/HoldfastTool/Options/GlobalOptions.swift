// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast
import Logging

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The options of every command.
struct GlobalOptions: ParsableArguments {
    static let variable = "HOLDFAST_DATABASE_URL"

    @Option(
        name: .customLong("database-url"),
        help: ArgumentHelp(
            "The URL of the system database. Default: the environment variable \(Self.variable).",
            valueName: "url"
        )
    )
    var databaseURL: String?

    @Option(help: ArgumentHelp("The schema of the shared data model.", valueName: "name"))
    var schema = "dbos"

    @Option(help: ArgumentHelp("The schema of Holdfast's own tables.", valueName: "name"))
    var ownSchema = "holdfast"

    @Option(
        help: ArgumentHelp(
            "Only this application. Default: all of them, except where versions are concerned.",
            valueName: "name"
        )
    )
    var application: String?

    @Flag(help: "Print one JSON document and nothing else.")
    var json = false

    @Flag(help: "Do not color the output. NO_COLOR in the environment does the same.")
    var noColor = false

    func validate() throws {
        guard !self.url.allSatisfy(\.isWhitespace) else {
            throw ValidationError(
                "no database is named; give --database-url or set the environment variable \(Self.variable)"
            )
        }
    }

    private var url: String { self.databaseURL ?? ProcessInfo.processInfo.environment[Self.variable] ?? "" }

    private var database: DatabaseConfiguration {
        // As behind a pooler: every statement is sent once, so preparing it would only cost a round trip.
        var configuration = DatabaseConfiguration(
            url: self.url,
            isPooled: true,
            schema: self.schema,
            ownSchema: self.ownSchema,
            poolSize: 2
        )
        configuration.connectTimeout = .seconds(5)
        return configuration
    }

    func migrator() throws -> Migrator {
        var logger = Logger(label: "holdfast") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        return try self.database.migrator(logger: logger)
    }

    /// Runs `body` with a client that is closed afterwards. Whatever goes wrong comes out as a ``Failure``.
    ///
    /// - Parameters:
    ///   - application: The client's application instead of the one that the option names.
    ///   - changes: Whether `body` changes anything: then the layout is verified first, because a statement may well
    ///     succeed in a database that it does not understand.
    func withClient<R>(
        changes: Bool = false,
        _ body: (HoldfastClient) async throws -> R
    ) async throws(Failure) -> R {
        let quiet = Logger(label: "holdfast") { _ in SwiftLogNoOpLogHandler() }
        let result: Result<R, any Error>
        do {
            if changes { _ = try await self.database.migrator(logger: quiet).verify() }
            let client = try HoldfastClient(
                database: self.database,
                applicationName: self.application,
                logger: quiet
            )
            do { result = .success(try await body(client)) } catch { result = .failure(error) }
            await client.close()
        } catch {
            throw Failure(error)
        }
        switch result {
        case .success(let value): return value
        case .failure(let error): throw await self.explained(error, logger: quiet)
        }
    }

    /// Something the statement needs is not there: what is wrong with the layout says more than its name.
    private func explained(_ error: any Error, logger: Logger) async -> Failure {
        guard DatabaseFault(error)?.kind == .unknownObject else { return Failure(error) }
        do {
            _ = try await self.database.migrator(logger: logger).verify()
        } catch let cause {
            return Failure(cause)
        }
        return Failure(error)
    }

    /// Prints a result in the form that was asked for.
    func show(json: @autoclosure () -> JSONText, text: (Style) -> String, whenEmpty remark: String? = nil) throws {
        if self.json { return try Terminal.print(json().rendered() + "\n") }
        if let remark { return Terminal.complain(remark) }
        try Terminal.print(text(Style(isColored: !self.noColor && Terminal.showsColor)))
    }
}
