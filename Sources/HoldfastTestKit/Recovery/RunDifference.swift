// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast
import HoldfastCore

/// Something in which two runs differ.
struct RunDifference: Sendable {
    /// Where; what differs there between undisturbed runs, too, is no fault of a recovery.
    enum Place: Sendable, Hashable {
        case workflow(path: String)
        case step(path: String, StepID)
        case outcome(path: String)
    }

    var place: Place
    var sentence: String
    /// The step's name.
    var stepName: String?
    /// Whether the run takes another way from here on.
    var isFork = false
}

extension RunRecord {
    /// In what the record of another run differs from this one's, in an order in which causes come before what follows from
    /// them.
    func differences(from other: RunRecord, varying: Set<StepName>) -> [RunDifference] {
        // Who wins a race may depend on what was recorded before a crash, and everything may depend on who wins.
        if self.racedDifferently(from: other) { return [] }
        var found: [RunDifference] = []
        for path in Set(self.histories.keys).union(other.histories.keys).sorted(by: Self.isChildFirst) {
            switch (self.histories[path], other.histories[path]) {
            case (let mine?, let theirs?):
                found += self.differences(at: path, mine, theirs, other, varying)
            case (let mine?, nil):
                found.append(
                    .init(place: .workflow(path: path), sentence: "child '\(mine.name)' (\(path)) was not started")
                )
            case (nil, let theirs?):
                found.append(
                    .init(
                        place: .workflow(path: path),
                        sentence: "child '\(theirs.name)' (\(path)) was started in addition"
                    )
                )
            case (nil, nil): break
            }
        }
        return found
    }

    /// A parent's record repeats what became of its children.
    private static func isChildFirst(_ left: String, _ right: String) -> Bool {
        let depths = (left.count { $0 == "/" }, right.count { $0 == "/" })
        return depths.0 != depths.1 ? depths.0 > depths.1 : left < right
    }

    func racedDifferently(from other: RunRecord) -> Bool {
        self.histories.contains { path, history in
            history.steps.contains { step in
                step.name == "DBOS.select" && other.histories[path]?.step(step.id).map { $0 != step } ?? false
            }
        }
    }

    private func differences(
        at path: String,
        _ mine: WorkflowHistory,
        _ theirs: WorkflowHistory,
        _ other: RunRecord,
        _ varying: Set<StepName>
    ) -> [RunDifference] {
        var found: [RunDifference] = []
        func add(_ id: StepID, _ name: String, _ sentence: String, isFork: Bool) {
            found.append(.init(place: .step(path: path, id), sentence: sentence, stepName: name, isFork: isFork))
        }
        let whose = path.isEmpty ? "" : " of child '\(mine.name)' (\(path))"
        steps: for id in Set(mine.steps.map(\.id)).union(theirs.steps.map(\.id)).sorted() {
            switch (mine.step(id), theirs.step(id)) {
            case (let before?, let after?):
                guard before.name == after.name else {
                    let sentence = "step \(id)\(whose) was '\(before.name)', and after the recovery '\(after.name)'"
                    add(id, before.name, sentence, isFork: true)
                    break steps
                }
                guard before.name != "DBOS.sleep", !varying.contains(StepName(before.name)) else { continue }
                guard !Self.isSame(before.output, after.output) || !Self.isSame(before.error, after.error) else {
                    continue
                }
                add(
                    id,
                    before.name,
                    "step \(id) '\(before.name)'\(whose) recorded \(before.resultText), and after the recovery "
                        + after.resultText,
                    isFork: false
                )
            case (let before?, nil) where !other.wasLeftBehind(id, at: path):
                add(id, before.name, "step \(id) '\(before.name)'\(whose) is missing after the recovery", isFork: true)
                break steps
            case (nil, let after?) where !self.wasLeftBehind(id, at: path):
                add(
                    id,
                    after.name,
                    "step \(id) '\(after.name)'\(whose) was recorded in addition after the recovery",
                    isFork: true
                )
                break steps
            default: continue
            }
        }
        if mine.status != theirs.status || !Self.isSame(mine.output, theirs.output)
            || !Self.isSame(mine.error, theirs.error)
        {
            let who = path.isEmpty ? "it" : "child '\(mine.name)' (\(path))"
            found.append(
                .init(
                    place: .outcome(path: path),
                    sentence: "\(who) \(mine.outcomeText), and after the recovery \(theirs.outcomeText)"
                )
            )
        }
        return found
    }

    private static func isSame(_ left: String?, _ right: String?) -> Bool {
        switch (left, right) {
        case (nil, nil): true
        case (let left?, let right?): PortableJSON.isEquivalent(left, right)
        default: false
        }
    }
}

extension WorkflowHistory.Step {
    fileprivate var resultText: String { self.error.map { "the error \($0)" } ?? self.output ?? "nothing" }
}
