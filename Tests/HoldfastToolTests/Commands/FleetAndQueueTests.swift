// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Testing

@Suite("holdfast queue and holdfast fleet", .timeLimit(.minutes(5))) struct FleetAndQueueTests {
    @Test("queue list: registered queues and those with work on them")
    func queues() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor { _ in }
            try await database.enqueue("one", "two")
            _ = try await database.client.enqueue(WorkflowReference<Int, Int>("odd"), 1, on: "unknown")
            try await database.query(
                """
                INSERT INTO {s}.queues (name, concurrency, rate_limit_max, rate_limit_period_sec, priority_enabled,
                                        partition_queue, polling_interval_sec, application_name)
                VALUES ('strange', 3, 10, 60, FALSE, FALSE, 1, 'another')
                """
            )
            let answer = try await database.run("queue", "list")
            #expect(answer.status == 0)
            #expect(
                answer.rows[0].prefix(6) == ["QUEUE", "REGISTERED", "APPLICATION", "ENQUEUED", "PENDING", "DELAYED"]
            )
            #expect(answer.output.contains("10 per 60 s"))

            let queues = try await database.run("queue", "list", "--json").decoded([QueueDocument].self)
            #expect(queues.map(\.name) == ["strange", "unknown", "work"])
            #expect(queues.map(\.registered) == [true, false, true])
            #expect(queues.map(\.enqueued) == [0, 1, 2])
            #expect(queues.map(\.workerConcurrency) == [nil, nil, 4])
            #expect(queues.map(\.concurrency) == [3, nil, nil])
            #expect(queues[0].ratePeriodSeconds == 60)
            #expect(queues[2].applicationName == "test-app")
            #expect(queues[2].oldestEnqueuedAt != nil)

            let scoped = try await database.run("queue", "list", "--json", "--application", "test-app")
            #expect(try scoped.decoded([QueueDocument].self).map(\.name) == ["unknown", "work"])
        }
    }

    @Test("nothing there", arguments: [("queue", "list", "queues"), ("fleet", "status", "executors")])
    func nothing(_ group: String, _ command: String, _ what: String) async throws {
        try await ToolDatabase.with { database in
            let answer = try await database.run(group, command)
            #expect(answer.status == 0)
            #expect(answer.output.isEmpty)
            #expect(answer.complaint == "holdfast: there are no \(what)\n")
            #expect(try await database.run(group, command, "--json").output == "[]\n")
        }
    }

    @Test("fleet status: a living and a dead executor")
    func fleet() async throws {
        try await ToolDatabase.with { database in
            try await database.withExecutor { _ in
                try await database.query(
                    """
                    INSERT INTO {h}.executors
                      (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                       running, workflows, lease_ms, renewed_at, lease_expires_at, lock_key, ended_at, ended_by, end_reason)
                    VALUES ('00000000000000ff', 'worker-0', 'test-app', 'v0', 'dead', 'elsewhere', 7, 8, 5, '{}', 1000,
                            now() - interval '1 min', now() - interval '50 s', 1, now(), 'worker-1', 'lease_expired')
                    """
                )
                let answer = try await database.run("fleet", "status")
                #expect(answer.status == 0)
                #expect(answer.rows.map(\.count).allSatisfy { $0 >= 11 })
                #expect(answer.rows[0].prefix(4) == ["EXECUTOR", "STATE", "APPLICATION", "VERSION"])
                #expect(answer.rows[1].prefix(4) == ["worker-1", "active", "test-app", "v1"])
                #expect(answer.rows[1].contains("0/16"))
                #expect(answer.rows[1].contains("left"))
                #expect(answer.rows[2].prefix(7) == ["worker-0", "dead", "test-app", "v0", "elsewhere", "7", "-"])
                #expect(answer.rows[2].suffix(3) == ["lease_expired", "by", "worker-1"])

                let members = try await database.run("fleet", "status", "--json").decoded([ExecutorDocument].self)
                #expect(members.map(\.executorId) == ["worker-1", "worker-0"])
                #expect(members[0].state == "active")
                #expect(members[0].capacity == 16)
                #expect(members[0].leaseRemainingSeconds > 0)
                #expect(members[0].endReason == nil)
                #expect(members[1].running == 5)
                #expect(members[1].leaseRemainingSeconds < -49)
                #expect(members[1].heartbeatAgeSeconds > 59)
                #expect(members[1].endedBy == "worker-1")

                let other = try await database.run("fleet", "status", "--application", "another")
                #expect(other.output.isEmpty)
            }
            let after = try await database.run("fleet", "status", "--json").decoded([ExecutorDocument].self)
            #expect(after.first { $0.executorId == "worker-1" }?.state == "stopped")
            #expect(after.first { $0.executorId == "worker-1" }?.endReason == "shutdown")
        }
    }

    @Test("fleet status: a lease that ran out before anybody noticed")
    func expiredLease() async throws {
        try await ToolDatabase.with { database in
            try await database.query(
                """
                INSERT INTO {h}.executors
                  (incarnation, executor_id, application_name, application_version, state, host, pid, capacity,
                   running, workflows, lease_ms, renewed_at, lease_expires_at, lock_key)
                VALUES ('00000000000000ff', 'worker-0', 'test-app', 'v0', 'active', 'elsewhere', 7, 8, 5, '{}', 1000,
                        now() - interval '60 s', now() - interval '50.5 s', 1)
                """
            )
            #expect(try await database.run("fleet", "status").output.contains(/expired 5\d s ago/))
        }
    }
}
