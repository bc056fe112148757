// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Testing

@testable import Holdfast

@Suite("What supervisors are told")
struct HealthTests {
    private static func health(
        _ phase: HoldfastExecutor.Health.Phase = .serving,
        lease: Bool = true,
        renewed: Double? = 1,
        answered: Double? = 1
    ) -> HoldfastExecutor.Health {
        HoldfastExecutor.Health(
            phase: phase,
            holdsLease: lease,
            sinceRenewal: renewed.map { .seconds($0) },
            sinceAnswer: answered.map { .seconds($0) },
            running: 3,
            capacity: 8
        )
    }

    @Test(
        "An executor is stuck when it does not renew although the database answers",
        arguments: [
            (health(), false), (health(lease: false, renewed: 59, answered: 1), false),
            (health(lease: false, renewed: 61, answered: 1), true), (health(.drained, renewed: 61), true),
            // The database is down, or hangs, or has never answered: a restart would not help.
            (health(lease: false, renewed: 3600, answered: 3600), false),
            (health(lease: false, renewed: 61, answered: 11), false),
            (health(lease: false, renewed: 61, answered: nil), false),
            (health(.starting, lease: false, renewed: nil, answered: nil), false),
            (health(.stopping, lease: false, renewed: 61), false), (health(.ended, lease: false, renewed: 61), false),
        ]
    )
    func stuck(health: HoldfastExecutor.Health, isStuck: Bool) {
        #expect(health.isStuck == isStuck)
        #expect(SystemdConversation().message(health).contains("WATCHDOG=1") != isStuck)
    }

    @Test(
        "It is ready while it serves under a lease",
        arguments: [
            (health(), true), (health(lease: false), false), (health(.drained), false), (health(.starting), false),
            (health(.stopping), false),
        ]
    )
    func ready(health: HoldfastExecutor.Health, isReady: Bool) {
        #expect(health.isReady == isReady)
    }

    @Test("systemd hears each change until it was heard once, and a line for people every time")
    func conversation() {
        var conversation = SystemdConversation()
        func say(_ health: HoldfastExecutor.Health, isHeard: Bool = true) -> [String] {
            let message = conversation.message(health)
            if isHeard { conversation.wasHeard(health) }
            return message.split(separator: "\n").map(String.init)
        }
        let starting = [
            "EXTEND_TIMEOUT_USEC=60000000", "WATCHDOG=1", "STATUS=starting; waiting for the database if this lasts",
        ]
        #expect(say(Self.health(.starting)) == starting)
        #expect(say(Self.health(.starting)) == starting)
        let serving = ["WATCHDOG=1", "STATUS=serving, 3 of 8 slots in use"]
        #expect(say(Self.health(), isHeard: false) == ["READY=1"] + serving)
        #expect(say(Self.health()) == ["READY=1"] + serving)
        #expect(say(Self.health()) == serving)
        #expect(
            say(Self.health(lease: false, renewed: 61)) == [
                "STATUS=its lease could not be renewed for 61 s, so it stopped its work; the database answers, so a restart may help"
            ]
        )
        let stopping = ["WATCHDOG=1", "STATUS=stopping, 3 workflows hold a slot"]
        #expect(say(Self.health(.stopping), isHeard: false) == ["STOPPING=1"] + stopping)
        #expect(say(Self.health(.stopping)) == ["STOPPING=1"] + stopping)
        #expect(say(Self.health(.stopping)) == stopping)
    }

    @Test("Only a socket that there can be is taken for systemd's, and only a watchdog for this process")
    func environment() {
        func silence(_ environment: [String: String]) -> Duration? {
            Supervisor.systemd(environment: environment, processID: 42).longestSilence
        }
        let socket = ["NOTIFY_SOCKET": "/run/none"]
        #expect(silence(socket) == nil)
        #expect(silence(socket.merging(["WATCHDOG_USEC": "30000000"]) { $1 }) == .seconds(30))
        #expect(silence(socket.merging(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"]) { $1 }) == .seconds(30))
        #expect(silence(socket.merging(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"]) { $1 }) == nil)
        #expect(silence(socket.merging(["WATCHDOG_USEC": "soon"]) { $1 }) == nil)
        #expect(silence(["WATCHDOG_USEC": "30000000"]) == nil)
        for address in ["vsock:2:1234", "relative", "/", "", "/" + String(repeating: "x", count: 107)] {
            #expect(SystemdSocket(address) == nil, "\(address)")
        }
        #expect(SystemdSocket("/" + String(repeating: "x", count: 106)) != nil)
        #expect(Supervisor.systemd(environment: [:], processID: 1).open(TestDatabase.logger) == nil)
    }

    @Test("A folder's files say what is true now, whatever an earlier process left there")
    func folder() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())/health").path
        let files = { Set(try FileManager.default.contentsOfDirectory(atPath: path)) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        for file in ["alive", "ready"] {
            try #require(FileManager.default.createFile(atPath: "\(path)/\(file)", contents: nil))
        }
        var folder = HealthFolder(path: path)
        try folder.report(Self.health(.starting))
        #expect(try files() == ["alive"])
        try folder.report(Self.health())
        #expect(try files() == ["alive", "ready"])
        #expect(try String(contentsOfFile: "\(path)/ready", encoding: .utf8) == "serving, 3 of 8 slots in use\n")
        let old = Date(timeIntervalSinceNow: -3600)
        let alive = "\(path)/alive"
        func makeOld() throws {
            try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: alive)
        }
        func age() throws -> TimeInterval {
            let date = try FileManager.default.attributesOfItem(atPath: alive)[.modificationDate] as? Date
            return Date.now.timeIntervalSince(try #require(date))
        }
        try makeOld()
        try folder.report(Self.health(lease: false))
        #expect(try files() == ["alive"])
        #expect(try age() < 1800)
        try makeOld()
        try folder.report(Self.health(lease: false, renewed: 61))
        #expect(try age() > 1800)
        folder.finish()
        #expect(try files() == [])
    }
}
