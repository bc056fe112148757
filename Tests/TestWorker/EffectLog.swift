// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Synchronization

/// What a process does outside the system database, line by line in a file of its own, for an independent checker.
///
/// A line is `MONOTONIC REALTIME EVENT RUN WORKFLOW STEP ATTEMPT`, times in nanoseconds. The monotonic clock is the same in
/// all processes of a machine; the other one is the database's, too. A run is one call of a workflow's code in this process.
final class EffectLog: Sendable {
    enum Event: String {
        /// A workflow's code was called, and has returned or thrown.
        case enter, leave
        /// An attempt of a step has its effect, is done, or fails as planned.
        case begin, end, fail
    }

    private let file: Int32
    private let runs = Atomic<Int>(0)

    /// - Parameter path: The file, which is made if need be and appended to.
    init(path: String) throws {
        self.file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard self.file >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    }

    deinit { close(self.file) }

    func nextRun() -> Int { self.runs.add(1, ordering: .relaxed).newValue }

    func note(_ event: Event, run: Int, workflow: WorkflowID, step: StepContext? = nil) throws {
        let (monotonic, realtime) = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_REALTIME))
        let place = step.map { "\($0.id) \($0.attempt)" } ?? "0 0"
        // One `write` in append mode: whole lines, also when the process is killed.
        let bytes = Array("\(monotonic) \(realtime) \(event.rawValue) \(run) \(workflow) \(place)\n".utf8)
        guard write(self.file, bytes, bytes.count) == bytes.count else { throw POSIXError(.EIO) }
    }

    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
