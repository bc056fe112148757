// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

extension WorkflowHistory {
    /// What comes of running the code with this history in the place of the world. The database is not asked.
    func finding(with registry: WorkflowRegistry) async throws -> ReplayFinding {
        var configuration = HoldfastExecutor.Configuration(
            applicationName: TestDatabase.applicationName,
            // Never connected to.
            database: DatabaseConfiguration(url: "postgresql://127.0.0.1:1/none")
        )
        configuration.applicationVersion = "replay"
        let executor = try HoldfastExecutor(configuration: configuration, registry: registry, logger: TestLog.logger)
        return await executor.replay(self)
    }
}
