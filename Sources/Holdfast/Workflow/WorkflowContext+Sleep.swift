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
        let wakeUp: Double
        switch try self.next(name) {
        case .replay(let step):
            wakeUp = try self.replayed(step, as: Double.self)
        case .execute(let functionID):
            let now = self.execution.now
            let end = now.addingClamped(duration.inMilliseconds)
            wakeUp = Double(end) / 1000
            try await self.record(functionID, name: name, output: "\(wakeUp)", startedAt: now, completedAt: end)
        }
        // A check of the record takes no time.
        if self.execution.check != nil { return }
        let execution = self.execution
        do {
            try await execution.host.running.waiting {
                while true {
                    let remaining = wakeUp - Double(execution.now) / 1000
                    guard remaining > 0 else { return }
                    // In parts: the database's clock may be set meanwhile, and a virtual machine's timers stand still with it.
                    try await Task.sleep(for: .seconds(min(remaining, Self.longestNap)))
                }
            }
        } catch {
            throw execution.mapped(error)
        }
    }

    private static let longestNap = 60.0
}
