// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Logging

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Supervisor {
    /// The systemd that started this process as a service of `Type=notify`, found through the environment (`NOTIFY_SOCKET`,
    /// `WATCHDOG_USEC`); nobody, where no systemd waits to be told.
    ///
    /// It is told when the executor is ready and when it begins to stop, a line for `systemctl status`, and, with
    /// `WatchdogSec=`, that the process is alive, unless a restart is likely to help
    /// (``HoldfastExecutor/Health/isStuck``). While the executor waits for its database, its time to start is extended.
    public static var systemd: Supervisor {
        .systemd(environment: ProcessInfo.processInfo.environment, processID: HostName.processID)
    }

    static func systemd(environment: [String: String], processID: Int32) -> Supervisor {
        guard let address = environment["NOTIFY_SOCKET"], !address.isEmpty else {
            return Supervisor(longestSilence: nil) { _ in nil }
        }
        var watchdog: Duration?
        let isForUs = environment["WATCHDOG_PID"].map { Int32($0) == processID } ?? true
        if isForUs, let text = environment["WATCHDOG_USEC"], let limit = Int64(text), limit > 0 {
            watchdog = .microseconds(limit)
        }
        return Supervisor(longestSilence: watchdog) { logger in
            guard let socket = SystemdSocket(address) else {
                logger.error("systemd cannot be told: NOTIFY_SOCKET is neither a path nor an abstract address")
                return nil
            }
            return SystemdChannel(socket: socket)
        }
    }
}

/// What systemd is told, report by report. The words are those of sd_notify(3).
struct SystemdChannel: SupervisorChannel {
    private let socket: SystemdSocket
    private var conversation = SystemdConversation()

    init(socket: SystemdSocket) { self.socket = socket }

    mutating func report(_ health: HoldfastExecutor.Health) throws {
        try self.socket.send(self.conversation.message(health))
        self.conversation.wasHeard(health)
    }

    mutating func finish() {}
}

/// What to say next. *READY* and *STOPPING* are said until they were heard once.
struct SystemdConversation {
    private var saidReady = false
    private var saidStopping = false

    func message(_ health: HoldfastExecutor.Health) -> String {
        var lines: [String] = []
        switch health.phase {
        case .starting:
            // By a minute from now on, again and again: a database that is down is no reason to give up.
            lines.append("EXTEND_TIMEOUT_USEC=60000000")
        case .serving, .drained:
            if !self.saidReady { lines.append("READY=1") }
        case .stopping, .ended:
            if !self.saidStopping { lines.append("STOPPING=1") }
        }
        if !health.isStuck { lines.append("WATCHDOG=1") }
        lines.append("STATUS=\(health.sentence)")
        return lines.joined(separator: "\n")
    }

    mutating func wasHeard(_ health: HoldfastExecutor.Health) {
        switch health.phase {
        case .starting: break
        case .serving, .drained: self.saidReady = true
        case .stopping, .ended: self.saidStopping = true
        }
    }
}
