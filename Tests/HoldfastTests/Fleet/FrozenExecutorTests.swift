// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import HoldfastPostgres
import Testing

@Suite("An executor that was frozen beyond its lease", .timeLimit(.minutes(3)))
struct FrozenExecutorTests {
    @Test("begins no step any more when it wakes")
    func beginsNothing() async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("one", database, folder)
                try await WorkerProcess.with([first]) {
                    try await withClient(database) { client in
                        // Each of them waits for its next attempt when the executor is frozen, and may begin it on waking.
                        var handles: [WorkflowHandle<Nothing>] = []
                        for number in 1...20 {
                            handles.append(
                                try await client.enqueue(
                                    WorkflowReference<Nothing, Nothing>("stubborn"),
                                    Nothing(),
                                    on: "work",
                                    options: .init(id: "w\(number)")
                                )
                            )
                        }
                        for number in 1...20 { try await folder.until("effect w\(number) 1") }
                        first.signal(SIGSTOP)
                        let second = try WorkerProcess("two", database, folder)
                        try await WorkerProcess.with([second]) {
                            folder.open("stubborn")
                            for handle in handles { _ = try await handle.result() }
                            let before = folder.lines().filter { $0.contains(" one ") }.count
                            first.signal(SIGCONT)
                            try await database.until(
                                "SELECT count(*) FROM {h}.executors WHERE executor_id = 'one' AND state = 'active'",
                                is: 1
                            )
                            #expect(folder.lines().filter { $0.contains(" one ") }.count == before)
                        }
                    }
                }
            }
        }
    }

    @Test(
        "and whose slot was given to another process leaves, and lets its successor be",
        arguments: [false, true]
    )
    func isReplaced(successorHasLeft: Bool) async throws {
        try await TestDatabase.with { database in
            try await WorkerProcess.Folder.with { folder in
                let first = try WorkerProcess("slot", database, folder)
                try await WorkerProcess.with([first]) {
                    first.signal(SIGSTOP)
                    let second = try WorkerProcess("slot", database, folder)
                    try await WorkerProcess.with([second]) {
                        if successorHasLeft {
                            second.signal(SIGTERM)
                            await second.ended()
                        }
                        // Until the first must stop itself on waking: it does not come to asking what became of its lease.
                        try await database.until(
                            """
                            SELECT count(*) FROM {h}.executors
                             WHERE pid = \(first.pid) AND renewed_at < clock_timestamp() - interval '1300 ms'
                            """,
                            is: 1
                        )
                        first.signal(SIGCONT)
                        try await until("one of them ends") {
                            if !first.isRunning || (!successorHasLeft && !second.isRunning) { return true }
                            return try await database.count("SELECT count(*) FROM {h}.executors") > 2
                        }
                        try #require(!first.isRunning)
                        if !successorHasLeft {
                            try await withClient(database) { client in
                                _ = try await client.enqueue(noop, Nothing(), on: "work").result()
                            }
                        }
                        #expect(
                            try await database.count(
                                "SELECT count(*) FROM {h}.executors WHERE state = 'active' AND pid = \(second.pid)"
                            ) == (successorHasLeft ? 0 : 1)
                        )
                        #expect(try await database.count("SELECT count(*) FROM {h}.executors") == 2)
                    }
                }
            }
        }
    }
}
