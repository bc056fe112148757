// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// What one run of the workflow under test left behind.
struct RunRecord<Effects: Equatable & Sendable>: Sendable {
    /// Its history and those of its descendants, by path.
    var histories: [String: WorkflowHistory]
    /// Steps whose code was begun.
    var begun: Set<String>
    var effects: Effects

    /// By the numbers of the operations that started them; workflows that no operation started, by their ids.
    static func byPath(_ histories: [WorkflowHistory], root: WorkflowID) -> [String: WorkflowHistory] {
        let byID = Dictionary(histories.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var paths: [String: WorkflowHistory] = [:]
        var seen: Set<WorkflowID> = []
        var open: [(path: String, id: WorkflowID)] = [("", root)]
        while let (path, id) = open.popLast() {
            guard let history = byID[id], seen.insert(id).inserted else { continue }
            paths[path] = history
            for step in history.steps where step.name != "DBOS.getResult" {
                if let child = step.childID { open.append(("\(path)/\(step.id)", child)) }
            }
        }
        for history in histories where !seen.contains(history.id) { paths["'\(history.id)'"] = history }
        return paths
    }

    /// A step that was begun but never recorded, because the workflow ended without waiting for it.
    func wasLeftBehind(_ step: StepID, at path: String) -> Bool {
        self.begun.contains(CrashWatch.key(path, step)) && self.histories[path]?.step(step) == nil
    }
}

extension WorkflowHistory {
    func step(_ id: StepID) -> Step? { self.steps.first { $0.id == id } }

    /// The outcome in words.
    var outcomeText: String {
        switch self.status {
        case .success: "returned \(self.output ?? "null")"
        case .error: "failed with \(self.error ?? "an error")"
        default: "ended as \(self.status)"
        }
    }
}

extension RunRecord {
    /// What was committed before a crash must neither change nor be done again, whatever the code does.
    ///
    /// - Parameter runs: How often the code of each step was begun.
    func checkCheckpoints(of atCrash: [String: WorkflowHistory], runs: [String: Int], crash: CrashPoint) throws {
        for (path, before) in atCrash.sorted(by: { $0.key < $1.key }) {
            for step in before.steps where self.histories[path]?.step(step.id) != step {
                throw RecoveryFailure.checkpointIgnored("changed after the crash", step, before, crash)
            }
        }
        for (path, history) in self.histories.sorted(by: { $0.key < $1.key }) {
            for step in history.steps {
                let isRecorded = atCrash[path]?.step(step.id) != nil
                let limit = isRecorded ? 1 : 2
                guard let count = runs[CrashWatch.key(path, step.id)], count > limit else { continue }
                throw RecoveryFailure.checkpointIgnored("ran \(count) times", step, history, crash)
            }
        }
    }

    /// The executor itself refuses to go on when the code does not fit the record.
    func checkForMismatches(unlike reference: RunRecord, crash: CrashPoint) throws {
        for (path, history) in self.histories.sorted(by: { $0.key < $1.key }) {
            guard let mismatch = history.mismatch, reference.histories[path]?.mismatch == nil else { continue }
            throw RecoveryFailure.mismatch(mismatch, history, crash: crash)
        }
    }
}
