// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import Synchronization

/// Where ``verifyRecovery(of:input:options:in:registering:)`` kills the executor.
public struct CrashPoint: Sendable, Hashable, CustomStringConvertible {
    enum Place: Sendable, Hashable {
        case start
        case operation(number: Int32, name: String)
        case outcome
    }

    /// Which workflow: empty for the one under test, otherwise the numbers of the operations that started it.
    let path: String
    let workflowName: String
    let place: Place
    let moment: ProcessFaults.Moment

    /// In words.
    public var description: String {
        let whose = self.path.isEmpty ? "" : " of its child '\(self.workflowName)' (\(self.path))"
        switch (self.place, self.moment) {
        case (.start, _): return "as soon as it was stored"
        case (.operation(let number, let name), .before):
            return "between the effect of step \(number) '\(name)'\(whose) and its checkpoint"
        case (.operation(let number, let name), .after):
            return "right after the checkpoint of step \(number) '\(name)'\(whose)"
        case (.outcome, _): return "after the last step\(whose), before its outcome was recorded"
        }
    }

    func isSamePlace(as other: CrashPoint) -> Bool {
        guard self.path == other.path, self.moment == other.moment else { return false }
        return switch (self.place, other.place) {
        case (.start, .start), (.outcome, .outcome): true
        case (.operation(let number, _), .operation(let other, _)): number == other
        default: false
        }
    }
}

/// Follows the writes of one run of the workflow under test: finds the points at which it can crash, and kills it at one.
final class CrashWatch: Sendable {
    private struct State {
        var paths: [WorkflowID: (path: String, name: String)]
        var points: [CrashPoint] = []
        var seen: Set<CrashPoint> = []
        var runs: [String: Int] = [:]
        var hasStruck = false
    }

    let target: CrashPoint?
    private let state: Mutex<State>

    init(root: WorkflowID, name: WorkflowName, target: CrashPoint?) {
        self.target = target
        self.state = Mutex(State(paths: [root: ("", name.rawValue)]))
    }

    /// The points that were passed, in order.
    var points: [CrashPoint] { self.state.withLock { $0.points } }

    /// Whether the run came to the point at which it was to be killed.
    var hasStruck: Bool { self.state.withLock { $0.hasStruck } }

    /// How often the code of each step was begun.
    var runs: [String: Int] { self.state.withLock { $0.runs } }

    static func key(_ path: String, _ step: StepID) -> String { "\(path)#\(step)" }

    func faults() -> ProcessFaults {
        ProcessFaults(
            diesAt: { write, moment in self.passes(write, moment) },
            onStep: { workflow, step, _ in
                self.state.withLock { state in
                    state.runs[Self.key(Self.path(of: workflow, in: state).path, step), default: 0] += 1
                }
            }
        )
    }

    private func passes(_ write: DurableWrite, _ moment: ProcessFaults.Moment) -> Bool {
        self.state.withLock { state in
            let (path, name) = Self.path(of: write.workflowID, in: state)
            let place: CrashPoint.Place
            switch write.kind {
            case .start:
                // Nobody would know of a workflow that was not stored.
                guard path.isEmpty, moment == .after else { return false }
                place = .start
            case .childStart(let child):
                state.paths[child] = ("\(path)/\(write.functionID)", write.name)
                place = .operation(number: write.functionID, name: write.name)
            case .checkpoint:
                place = .operation(number: write.functionID, name: write.name)
            case .outcome:
                // Whoever has an outcome is beyond harm.
                guard moment == .before else { return false }
                place = .outcome
            }
            let point = CrashPoint(path: path, workflowName: name, place: place, moment: moment)
            // A batch that the database refuses is sent again, row by row.
            if state.seen.insert(point).inserted { state.points.append(point) }
            guard let target = self.target, !state.hasStruck, point.isSamePlace(as: target) else { return false }
            state.hasStruck = true
            return true
        }
    }

    /// A workflow that no recorded operation started is known by its id.
    private static func path(of id: WorkflowID, in state: State) -> (path: String, name: String) {
        state.paths[id] ?? ("'\(id)'", "")
    }
}
