// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension WorkflowContext {
    /// Sleeps durably: the moment of waking up is recorded first, and after a crash only the rest is slept.
    ///
    /// A duration of zero or less does nothing and takes no number.
    public func sleep(for duration: Duration) async throws {
        guard duration > .zero else { return }
        let name = "DBOS.sleep"
        let clock = self.execution.host.clock
        let wakeUp: Double
        switch try self.next(name) {
        case .replay(let step):
            wakeUp = try self.replayed(step, as: Double.self)
        case .execute(let functionID):
            let now = clock.now
            let end = now.addingClamped(duration.inMilliseconds)
            wakeUp = Double(end) / 1000
            try await self.record(functionID, name: name, output: "\(wakeUp)", startedAt: now, completedAt: end)
        }
        // A check of the record takes no time.
        if self.execution.check != nil { return }
        // A record of another language may hold any number.
        let moment = Int64(exactly: (wakeUp * 1000).rounded(.up)) ?? (wakeUp > 0 ? .max : .min)
        guard moment > clock.now else { return }
        do {
            try await self.execution.host.running.waiting {
                try await clock.sleep(until: moment, deadline: self.execution.deadline)
            }
        } catch {
            throw self.execution.mapped(error)
        }
    }
}
