// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("A client of a database that nobody has migrated", .timeLimit(.minutes(5)))
struct MissingSchemaTests {
    @Test("says so, and what to do, instead of repeating the database's words")
    func missing() async throws {
        try await TestDatabase.with { database in
            var configuration = database.configuration
            configuration.schema += "_absent"
            let client = try HoldfastClient(database: configuration, logger: TestDatabase.logger)
            let workflow = WorkflowReference<Nothing, Nothing>("w")
            await #expect {
                _ = try await client.enqueue(workflow, Nothing(), on: "q")
            } throws: { error in
                guard let error = error as? HoldfastError else { return false }
                return error.code == .schema && error.message.contains("holdfast migrate")
            }
            await client.close()
        }
    }
}
