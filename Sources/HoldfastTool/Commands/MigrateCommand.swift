// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Creates or upgrades the system database, or checks it.",
        discussion: """
            Creates what is missing, the database included, and upgrades what is old. It may be run at any time, also \
            while executors run and by several people at once. It needs a role that owns the schemas or may create them.

            With --check nothing is changed: exit code 0 says that this program can work with the database, 5 that it \
            cannot.

            \(ExitStatus.help)
            """
    )

    @Flag(help: "Change nothing; fail unless the database is usable as it is.")
    var check = false

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let report: MigrationReport
        do {
            let migrator = try self.global.migrator()
            report = try await self.check ? migrator.verify() : migrator.migrate()
        } catch {
            throw Failure(error)
        }
        try self.global.show(
            json: .object([
                "createdDatabase": .bool(report.createdDatabase),
                "schema": JSONText(self.global.schema, report.dbos),
                "ownSchema": JSONText(self.global.ownSchema, report.holdfast),
            ]),
            text: { self.text(report, $0) }
        )
    }

    private func text(_ report: MigrationReport, _ style: Style) -> String {
        var table = Table([.left("SCHEMA"), .right("FOUND"), .right("NOW"), .left("RESULT")])
        for (name, schema) in [(self.global.schema, report.dbos), (self.global.ownSchema, report.holdfast)] {
            let isChanged = schema.outcome == .created || schema.outcome == .upgraded
            table.append([
                Table.Cell(name),
                Table.Cell(schema.found == 0 ? nil : schema.found),
                Table.Cell(schema.version),
                Table.Cell(Self.sentence(schema.outcome), isChanged ? .green : nil),
            ])
        }
        let preface = report.createdDatabase ? "The database was missing and has been created.\n" : ""
        return preface + table.rendered(style)
    }

    private static func sentence(_ outcome: MigrationReport.Outcome) -> String {
        switch outcome {
        case .current: "current, nothing to do"
        case .ahead: "migrated by a newer program, usable"
        case .created: "created"
        case .upgraded: "upgraded"
        }
    }
}

extension JSONText {
    fileprivate init(_ name: String, _ schema: MigrationReport.Schema) {
        self = .object([
            "name": .string(name),
            "found": .integer(schema.found),
            "version": .integer(schema.version),
            "outcome": .string(schema.outcome.rawValue),
        ])
    }
}
