// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

package import Logging

extension DatabaseConfiguration {
    /// What creates, upgrades or verifies the system database, past the connection pooler if there is a way.
    package func migrator(logger: Logger) throws(HoldfastError) -> Migrator {
        try self.validate()
        return Migrator(
            configuration: self.session(applicationName: "holdfast-migrate")
                ?? self.statements(applicationName: "holdfast-migrate"),
            names: try self.names(),
            logger: logger
        )
    }
}
