// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import Holdfast

/// The rules of connecting, without a database.
struct ConnectDecisionTests {
    private static let schema = SchemaNames.standard.dbos

    /// A schema as a migration to that version leaves it.
    private static func dbos(_ versions: Int...) -> SchemaInspection {
        var columns = DBOSSchema.layout(at: versions.last ?? 0)
        columns[DBOSSchema.versionTable] = ["version"]
        return SchemaInspection(schemaExists: true, columns: columns, versions: versions)
    }

    private static func decide(_ found: SchemaInspection, _ mode: ConnectDecision.Mode) -> ConnectDecision {
        .dbos(found, schema: schema, mode: mode)
    }

    private static func refusal(_ decision: ConnectDecision) -> MigrationError? {
        if case .refuse(let error) = decision { error } else { nil }
    }

    private static let fresh: [SchemaInspection] = [
        SchemaInspection(),
        SchemaInspection(schemaExists: true),
        SchemaInspection(schemaExists: true, columns: ["dbos_migrations": ["version"]]),
        SchemaInspection(schemaExists: true, columns: ["dbos_migrations": ["version"]], versions: [0]),
    ]

    @Test(arguments: fresh)
    func nothingThere(found: SchemaInspection) {
        #expect(Self.decide(found, .migrate) == .create)
        #expect(Self.refusal(Self.decide(found, .verify))?.code == .behind)
    }

    @Test(arguments: [ConnectDecision.Mode.migrate, .verify])
    func upToDate(mode: ConnectDecision.Mode) {
        #expect(Self.decide(Self.dbos(125), mode) == .proceed(.current))
        #expect(Self.decide(Self.dbos(126), mode) == .proceed(.ahead))
        #expect(Self.decide(Self.dbos(4000), mode) == .proceed(.ahead))
    }

    @Test(arguments: 99...124)
    func behind(version: Int) {
        #expect(Self.decide(Self.dbos(version), .migrate) == .upgrade(from: version))
        let refusal = Self.refusal(Self.decide(Self.dbos(version), .verify))
        #expect(refusal?.code == .behind)
        #expect(refusal?.message.contains("version \(version)") == true)
    }

    @Test(arguments: [ConnectDecision.Mode.migrate, .verify], [1, 41, 47, 70, 98])
    func privateNumbers(mode: ConnectDecision.Mode, version: Int) {
        let refusal = Self.refusal(Self.decide(Self.dbos(version), mode))
        #expect(refusal?.code == .unknownLineage)
        #expect(refusal?.message.contains("the SDK that created it") == true)
    }

    @Test(arguments: [ConnectDecision.Mode.migrate, .verify], [0, 47, 108, 125, 130])
    func sharded(mode: ConnectDecision.Mode, version: Int) {
        var found = Self.dbos(version)
        found.columns["workflow_status", default: []].insert("shard_key")
        #expect(Self.refusal(Self.decide(found, mode))?.code == .sharded)
    }

    @Test(arguments: [ConnectDecision.Mode.migrate, .verify])
    func somebodyElsesTables(mode: ConnectDecision.Mode) {
        let strangers: [[String: Set<String>]] = [
            ["workflow_status": ["id", "state"]],
            ["queues": ["name"], "dbos_migrations": ["version"]],
            ["event_dispatch_kv": ["key"]],
            // A version table that is not one.
            ["dbos_migrations": ["id", "applied"]],
        ]
        for columns in strangers {
            let found = SchemaInspection(schemaExists: true, columns: columns)
            let refusal = Self.refusal(Self.decide(found, mode))
            #expect(refusal?.code == .foreignLayout)
            #expect(refusal?.message.contains("nothing was changed") == true)
        }
        #expect(Self.refusal(Self.decide(Self.dbos(108, 125), mode))?.code == .foreignLayout)
    }

    @Test func whatIsMissingIsNamed() {
        var found = Self.dbos(125)
        found.columns["streams"] = nil
        found.columns["workflow_status"]?.subtract(["creator_xid", "owner_xid"])
        for mode in [ConnectDecision.Mode.migrate, .verify] {
            let refusal = Self.refusal(Self.decide(found, mode))
            #expect(refusal?.code == .foreignLayout)
            let list = "lacks table streams; columns creator_xid, owner_xid of workflow_status"
            #expect(refusal?.message.contains(list) == true)
        }
        found.versions = [140]
        #expect(Self.refusal(Self.decide(found, .migrate))?.message.contains("newer release of Holdfast") == true)
        // At a level that does not have these columns yet, they are not missing.
        var former = Self.dbos(108)
        #expect(former.missing(from: DBOSSchema.layout(at: 108)) == nil)
        former.columns["queues"]?.remove("partition_concurrency")
        #expect(Self.refusal(Self.decide(former, .migrate))?.code == .foreignLayout)
    }

    @Test func unknownColumnsAreTolerated() {
        var found = Self.dbos(126)
        found.columns["workflow_status"]?.insert("invented_later")
        #expect(Self.decide(found, .verify) == .proceed(.ahead))
    }

    @Test(arguments: [
        ("PostgreSQL 15.6 on x86_64", 15_00_06, true),
        ("PostgreSQL 14.0", 14_00_00, true),
        ("PostgreSQL 18.1", 18_00_01, true),
        ("PostgreSQL 13.14 on x86_64", 13_00_14, false),
        ("PostgreSQL 9.6.24", 9_06_24, false),
        ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)", 13_00_00, false),
        ("cockroachdb v30", 17_00_00, false),
    ])
    func servers(product: String, version: Int, isSupported: Bool) {
        let error = ConnectDecision.unsupported(ServerInspection(product: product, version: version))
        #expect((error == nil) == isSupported)
        #expect(error.map { $0.code == .unsupportedServer } ?? true)
    }

    @Test func ownSchema() {
        let schema = SchemaNames.standard.holdfast
        var found = SchemaInspection()
        #expect(ConnectDecision.holdfast(found, schema: schema, mode: .migrate) == .create)
        #expect(Self.refusal(.holdfast(found, schema: schema, mode: .verify))?.code == .behind)
        found = SchemaInspection(schemaExists: true, columns: ["executors": ["id"]])
        #expect(Self.refusal(.holdfast(found, schema: schema, mode: .migrate))?.code == .foreignLayout)
        found.columns = HoldfastSchema.layout(at: HoldfastSchema.knownVersion)
        found.versions = Array(1...HoldfastSchema.knownVersion)
        #expect(ConnectDecision.holdfast(found, schema: schema, mode: .verify) == .proceed(.current))
        found.versions.append(HoldfastSchema.knownVersion + 1)
        #expect(ConnectDecision.holdfast(found, schema: schema, mode: .verify) == .proceed(.ahead))
        found.versions = [1]
        found.columns["autoscaling"] = nil
        #expect(ConnectDecision.holdfast(found, schema: schema, mode: .migrate) == .upgrade(from: 1))
        #expect(Self.refusal(.holdfast(found, schema: schema, mode: .verify))?.code == .behind)
        found.columns["takeovers"]?.remove("reason")
        #expect(Self.refusal(.holdfast(found, schema: schema, mode: .verify))?.code == .foreignLayout)
    }
}
