// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Logging

/// Starts, awaits, inspects and controls workflows. It needs nothing but the database.
///
/// An executor has one of its own, ``HoldfastExecutor/client``. A client of one's own never creates or upgrades the schema.
public final class HoldfastClient: Sendable {
    let core: ClientCore

    init(core: ClientCore) { self.core = core }

    /// Makes a client.
    ///
    /// - Parameters:
    ///   - database: Where the system database is.
    ///   - applicationName: The application whose work it enqueues and lists. Without one, its work may be taken by any
    ///     application, and it sees everything.
    ///   - payloadLimits: How large inputs may be.
    ///   - logger: Where it logs.
    /// - Throws: ``HoldfastError`` when the configuration is invalid. No connection is made yet.
    public convenience init(
        database: DatabaseConfiguration,
        applicationName: String? = nil,
        payloadLimits: PayloadLimits = PayloadLimits(),
        logger: Logger
    ) throws {
        if let applicationName { try HoldfastExecutor.Configuration.validate(applicationName: applicationName) }
        self.init(
            core: try ClientCore(
                database: database,
                applicationName: applicationName,
                connectionName: "holdfast-client",
                limits: payloadLimits,
                retries: false,
                logger: logger
            )
        )
    }

    /// Makes a client that lives in the time of a test.
    package convenience init(
        database: DatabaseConfiguration,
        applicationName: String,
        clock: (any WorkflowClock)?,
        logger: Logger
    ) throws {
        try HoldfastExecutor.Configuration.validate(applicationName: applicationName)
        self.init(
            core: try ClientCore(
                database: database,
                applicationName: applicationName,
                connectionName: "holdfast-client",
                limits: PayloadLimits(),
                retries: false,
                clock: clock,
                logger: logger
            )
        )
    }

    /// Sends what is pending and closes the connections. An executor closes its own client.
    public func close() async { await self.core.close() }
}
