// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import Holdfast

struct SharedMigrationTests {
    private let schema = SchemaNames.standard.dbos

    @Test func theNumbersAreComplete() {
        #expect(SharedMigration.pending(after: 99, in: schema).map(\.number) == Array(100...125))
        #expect(SharedMigration.pending(after: 120, in: schema).map(\.number) == Array(121...125))
        #expect(SharedMigration.pending(after: 125, in: schema).isEmpty)
    }

    @Test func theOnlineOnesAreThoseOfTheOtherSDKs() {
        let online = SharedMigration.pending(after: 99, in: schema).filter {
            if case .transactional = $0.step { false } else { true }
        }
        #expect(online.map(\.number) == [107, 111] + Array(114...120) + [122, 124, 125])
    }

    /// The layout that connecting requires and the layout that dbos creates are written down apart; here they meet.
    @Test func theRequiredLayoutIsThatOfDBOS() throws {
        var columns: [String: Set<String>] = [:]
        for line in try Fixture.dbosCatalog() where line.hasPrefix("column ") {
            let name = line.split(separator: " ")[1].split(separator: ".")
            columns[String(name[0]), default: []].insert(String(name[1]))
        }
        #expect(DBOSSchema.relations == Set(columns.keys))
        columns["event_dispatch_kv"] = nil
        columns[DBOSSchema.versionTable] = nil
        columns["workflow_status"]?.remove("request")
        #expect(DBOSSchema.layout(at: 125) == columns)
    }
}
