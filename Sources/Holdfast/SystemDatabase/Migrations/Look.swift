// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What one look at both schemas gave.
struct Look {
    struct Schema {
        /// The version to report as found.
        var found: Int
        let version: Int
        let decision: ConnectDecision

        init(_ inspection: SchemaInspection, _ decision: ConnectDecision) {
            found = inspection.version
            version = inspection.version
            self.decision = decision
        }

        /// How the schema stands, if nothing has to be done about it.
        var standing: MigrationReport.Schema? {
            guard case .proceed(let outcome) = decision else { return nil }
            return MigrationReport.Schema(outcome: outcome, found: found, version: version)
        }

        /// How the schema stands. For looks in mode `verify`, which know only proceeding and refusing.
        func verified() throws(MigrationError) -> MigrationReport.Schema {
            if case .refuse(let error) = decision { throw error }
            guard let standing else { preconditionFailure("verifying never decides to change anything: \(decision)") }
            return standing
        }
    }

    var dbos: Schema
    var holdfast: Schema

    /// The report, if nothing has to be done.
    func report(_ createdDatabase: Bool) -> MigrationReport? {
        guard let dbos = dbos.standing, let holdfast = holdfast.standing else { return nil }
        return MigrationReport(createdDatabase: createdDatabase, dbos: dbos, holdfast: holdfast)
    }

    /// The report of a look in mode `verify`.
    func verified() throws(MigrationError) -> MigrationReport {
        MigrationReport(createdDatabase: false, dbos: try dbos.verified(), holdfast: try holdfast.verified())
    }
}
