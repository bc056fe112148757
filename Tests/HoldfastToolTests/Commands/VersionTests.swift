// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("holdfast version", .timeLimit(.minutes(5))) struct VersionTests {
    @Test("list: a table, the latest first, its document, and what fleet status says of it")
    func list() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one", "two")
            try await database.withExecutor(version: "v2") { _ in
                let answer = try await database.ofApplication("version", "list")
                #expect(answer.status == 0)
                #expect(answer.complaint.isEmpty)
                #expect(
                    answer.rows.first == [
                        "VERSION", "LATEST", "EXECUTORS", "ENQUEUED", "PENDING", "DELAYED", "OLDEST", "VERDICT",
                    ]
                )
                #expect(answer.rows[1] == ["v2", "yes", "1", "0", "0", "0", "-", "serving"])
                #expect(answer.rows[2].prefix(6) == ["v1", "no", "0", "2", "0", "0"])
                #expect(answer.rows[2].suffix(2) == ["ago", "stranded"])

                let versions = try await database.ofApplication("version", "list", "--json")
                    .decoded([VersionDocument].self)
                #expect(versions.map(\.name) == ["v2", "v1"])
                #expect(versions.map(\.latest) == [true, false])
                #expect(versions.map(\.verdict) == ["serving", "stranded"])
                #expect(versions.map(\.liveExecutors) == [1, 0])
                #expect(versions.map(\.enqueued) == [0, 2])
                #expect(versions.map { $0.oldestOpenAt == nil } == [true, false])
                #expect(versions.allSatisfy { $0.registeredAt != nil && $0.pending == 0 && $0.delayed == 0 })

                let alarm =
                    "holdfast: application 'test-app', version 'v1': 2 workflows are stranded; start an executor of this "
                    + "version, or re-pin the work\n"
                #expect(try await database.run("fleet", "status").complaint == alarm)
                #expect(try await database.ofApplication("fleet", "status").complaint == alarm)
                #expect(try await database.run("fleet", "status", "--json").complaint.isEmpty)
            }
            try await database.query("UPDATE {s}.workflow_status SET status = 'SUCCESS'")
            let rest = try await database.ofApplication("version", "list", "--json").decoded([VersionDocument].self)
            #expect(rest.map(\.verdict) == ["idle", "safeToDelete"])
            #expect(try await database.ofApplication("version", "list").rows[2].suffix(3) == ["safe", "to", "delete"])
            #expect(try await database.run("fleet", "status").complaint.isEmpty)
        }
    }

    @Test("an application without versions")
    func none() async throws {
        try await ToolDatabase.with { database in
            let list = try await database.ofApplication("version", "list")
            #expect(list.status == 0)
            #expect(list.output.isEmpty)
            #expect(list.complaint == "holdfast: there are no versions\n")
            #expect(try await database.ofApplication("version", "list", "--json").output == "[]\n")
            let latest = try await database.ofApplication("version", "latest")
            #expect(latest.status == 3)
            #expect(latest.output.isEmpty)
            #expect(latest.complaint == "holdfast: application 'test-app' has no versions\n")
        }
    }

    @Test("latest: printed, set, and set back")
    func latest() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor(version: "v1") { _ in }
            try await database.withExecutor(version: "v2") { _ in
                #expect(try await database.ofApplication("version", "latest").output == "v2\n")
                let asked = try await database.ofApplication("version", "latest", "--json")
                #expect(try asked.decoded(LatestVersionDocument.self).latest == "v2")
                #expect(try asked.decoded(LatestVersionDocument.self).previous == nil)

                let back = try await database.ofApplication("version", "latest", "v1")
                #expect(back.status == 0)
                #expect(back.output == "v1\n")
                #expect(back.complaint.hasPrefix("holdfast: no executor of version 'v1' is alive; "))
                #expect(try await database.ofApplication("version", "latest").output == "v1\n")

                let forth = try await database.ofApplication("version", "latest", "v2", "--json")
                let document = try forth.decoded(LatestVersionDocument.self)
                #expect([document.latest, document.previous] == ["v2", "v1"])
                #expect(forth.complaint.isEmpty)
                #expect(try await database.ofApplication("version", "latest", "v2").complaint.isEmpty)
            }
            let unknown = try await database.ofApplication("version", "latest", "v9")
            #expect(unknown.status == 3)
            #expect(unknown.output.isEmpty)
            #expect(unknown.complaint == "holdfast: application 'test-app' has no version 'v9'\n")
            #expect(try await database.ofApplication("version", "latest").output == "v2\n")
        }
    }

    @Test("wait: until nothing is open; not for the latest")
    func wait() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one")
            try await database.withExecutor(version: "v2") { _ in }
            let late = try await database.ofApplication("version", "wait", "v1", "--timeout", "0")
            #expect(late.status == 6)
            #expect(late.output.isEmpty)
            #expect(
                late.complaint
                    == "holdfast: application 'test-app', version 'v1': 1 workflow is stranded; start an executor of this "
                    + "version, or re-pin the work\nholdfast: 1 workflow of version 'v1' is still open after 0 ms\n"
            )
            async let patient = database.ofApplication("version", "wait", "v1", "--timeout", "60")
            async let document = database.ofApplication("version", "wait", "v1", "--json")
            _ = try await database.client.cancel(["one"])
            let drained = try await patient
            #expect(drained.status == 0)
            #expect(drained.rows == [["VERSION", "VERDICT"], ["v1", "safe", "to", "delete"]])
            let verdict = try await document.decoded(AwaitedVersionDocument.self)
            #expect([verdict.version, verdict.verdict] == ["v1", "safeToDelete"])

            let latest = try await database.ofApplication("version", "wait", "v2")
            #expect(latest.status == 6)
            #expect(latest.complaint.hasPrefix("holdfast: version 'v2' is the latest, so work keeps coming to it; "))
            #expect(try await database.ofApplication("version", "wait", "v9").status == 3)
            #expect(try await database.ofApplication("version", "wait", "v1", "--timeout", "-1").status == 64)
        }
    }

    @Test("retire: only what is not the latest and has neither work nor executors")
    func retire() async throws {
        try await ToolDatabase.with { database in
            try await database.leaveOpen("one")
            try await database.withExecutor(version: "v2") { _ in
                for (version, reason) in [
                    ("v1", "1 workflow of it is open; let its executors finish the work, or re-pin it"),
                    ("v2", "it is the latest, 1 executor of it is alive; make another version the latest first"),
                ] {
                    let kept = try await database.ofApplication("version", "retire", version)
                    #expect(kept.status == 6)
                    #expect(kept.output.isEmpty)
                    #expect(kept.complaint == "holdfast: version '\(version)' was not retired: \(reason)\n")
                }
                _ = try await database.client.cancel(["one"])
                let retired = try await database.ofApplication("version", "retire", "v1")
                #expect(retired.status == 0)
                #expect(retired.complaint.isEmpty)
                #expect(retired.rows == [["VERSION", "RESULT"], ["v1", "retired"]])
                #expect(try await database.client.versions().map(\.name) == ["v2"])

                let again = try await database.ofApplication("version", "retire", "v1")
                #expect(again.status == 3)
                #expect(again.complaint == "holdfast: application 'test-app' has no version 'v1'\n")
            }
            try await database.withExecutor(version: "v3") { _ in }
            let answer = try await database.ofApplication("version", "retire", "v2", "--json")
            let document = try answer.decoded(RetiredVersionDocument.self)
            #expect([document.version, document.outcome] == ["v2", "retired"])
        }
    }
}
