// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Logging
public import ServiceLifecycle

/// An executor that tells whoever supervises its process how it is, so that a process that is stuck is restarted.
///
/// ```swift
/// let service = SupervisedExecutor(executor, reportingTo: [.systemd, .folder("/run/shop")], logger: logger)
/// try await ServiceGroup(services: [service], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// It runs the executor itself: put it into the service group in the executor's place. The reports are made by a task like
/// any other, so they end, too, when blocking code holds every thread that Swift's tasks share.
public struct SupervisedExecutor: Service {
    private let executor: HoldfastExecutor
    private let supervisors: [Supervisor]
    private let logger: Logger

    /// Supervises `executor`, which must not be run elsewhere.
    public init(_ executor: HoldfastExecutor, reportingTo supervisors: [Supervisor], logger: Logger) {
        self.executor = executor
        self.supervisors = supervisors
        self.logger = logger
    }

    /// Runs the executor until a graceful shutdown or the task's cancellation; see ``HoldfastExecutor/run()``.
    public func run() async throws {
        let wake = WakeSignal()
        self.executor.life.whenChanged { wake.wake() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.executor.run() }
            group.addTask { await self.report(wokenBy: wake) }
            // Reporting ends only when it is cancelled, so this is the executor.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func report(wokenBy wake: WakeSignal) async {
        let interval = self.supervisors.compactMap(\.longestSilence).min().map { $0 / 3 } ?? Self.interval
        var channels = self.supervisors.compactMap { $0.open(self.logger) }
        var failed = Set<Int>()
        while !Task.isCancelled {
            let health = self.executor.health
            for index in channels.indices {
                do {
                    try channels[index].report(health)
                    failed.remove(index)
                } catch {
                    // Once per trouble, not every few seconds.
                    guard failed.insert(index).inserted else { continue }
                    self.logger.warning("the supervisor cannot be told; trying again", metadata: ["error": "\(error)"])
                }
            }
            await wake.wait(until: .now.advanced(by: min(interval, Self.interval)))
        }
        for index in channels.indices { channels[index].finish() }
    }

    private static let interval: Duration = .seconds(5)
}

/// Who is told how an executor is.
public struct Supervisor: Sendable {
    /// The longest time for which nothing may be heard of a process; `nil`: as long as the interval of reports is usual.
    var longestSilence: Duration?
    /// `nil`: there is nobody to be told.
    let open: @Sendable (Logger) -> (any SupervisorChannel)?
}

/// A way to tell one supervisor.
protocol SupervisorChannel: Sendable {
    mutating func report(_ health: HoldfastExecutor.Health) throws
    /// The executor has ended.
    mutating func finish()
}
