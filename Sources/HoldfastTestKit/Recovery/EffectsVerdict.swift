// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// The effects of a workflow that nobody observes.
struct Unobserved: Equatable, Sendable {}

/// Whether a recovered run left the same effects behind as undisturbed ones.
///
/// It is compared only with runs that took the same way: another toss of a coin, or another winner of a race, may do something
/// else to the world, and would hide what was done twice.
enum EffectsVerdict: Equatable {
    case same
    /// Than those of the undisturbed run with this index.
    case different(Int)
    /// Two undisturbed runs took the same way, and their effects differ.
    case varying(Int, Int)
    /// No undisturbed run took the way of the recovered one.
    case unknownWay
    /// Another undisturbed run may tell.
    case needsRun

    /// - Parameters:
    ///   - enough: After so many runs besides the first one, what has not been seen to vary does not.
    ///   - most: So many runs are made until one takes the way of the recovered one.
    static func of<Effects>(
        _ record: RunRecord<Effects>,
        among runs: [RunRecord<Effects>],
        enough: Int,
        most: Int
    ) -> EffectsVerdict {
        let sameSteps = runs.indices.filter { runs[$0].tookSameWay(as: record) }
        let sameResults = sameSteps.filter { runs[$0].drewSameResults(as: record, among: runs) }
        if let verdict = self.of(record, runs, sameResults, mayAccuse: runs.count > enough) { return verdict }
        guard runs.count > enough else { return .needsRun }
        // A result that no run repeats, as a number out of many, may still have nothing to do with the effects.
        if let verdict = self.of(record, runs, sameSteps, mayAccuse: true) { return verdict }
        guard runs.count >= most else { return .needsRun }
        return runs.allSatisfy { $0.effects == record.effects } ? .same : .unknownWay
    }

    private static func of<Effects>(
        _ record: RunRecord<Effects>,
        _ runs: [RunRecord<Effects>],
        _ alike: [Int],
        mayAccuse: Bool
    ) -> EffectsVerdict? {
        guard let first = alike.first else { return nil }
        if let other = alike.first(where: { runs[$0].effects != runs[first].effects }) {
            return mayAccuse ? .varying(first, other) : .needsRun
        }
        if runs[first].effects == record.effects { return .same }
        return mayAccuse ? .different(first) : .needsRun
    }
}

extension RunRecord {
    /// Whether another run called the same operations and children, and the same steps won its races.
    fileprivate func tookSameWay(as other: RunRecord) -> Bool {
        !self.racedDifferently(from: other)
            && self.differences(from: other, varying: []).allSatisfy { difference in
                if case .workflow = difference.place { return false }
                return !difference.isFork
            }
    }

    /// Whether the operations of another run that took the same way returned the same, but for those that return something new
    /// every time, as ids and dates are.
    fileprivate func drewSameResults(as other: RunRecord, among runs: [RunRecord]) -> Bool {
        self.differences(from: other, varying: []).allSatisfy { difference in
            guard case .step(let path, let id) = difference.place else { return true }
            let results = runs.compactMap { $0.histories[path]?.step(id) }.map { [$0.name, $0.output, $0.error] }
            return Set(results).count == results.count
        }
    }
}
