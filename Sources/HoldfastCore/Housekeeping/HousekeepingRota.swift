// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Which background job is due in each round, so that an idle executor sends one statement a round.
///
/// It begins anywhere: in a fleet whose executors never live for an hour what is due once an hour must be done all the same.
package struct HousekeepingRota: Sendable {
    package enum Job: Sendable, Hashable {
        /// Due delays and deadlines.
        case sweep
        /// The queues are read.
        case refresh
        /// Work is looked for that belongs to members who ended before they got it.
        case orphanCheck
        /// Work is looked for that no live version can run.
        case strandedCheck
        /// What is over and done with is forgotten.
        case pruning
    }

    /// Every so many rounds a job other than the sweep is due; the rarest goes first where several are.
    private static let turns: [(job: Job, rounds: Int)] = [
        (.pruning, 3571), (.strandedCheck, 31), (.orphanCheck, 29), (.refresh, 5),
    ]
    /// After so many rounds everything begins anew.
    package static let cycle = turns.map(\.rounds).reduce(1, *)

    private var round: Int

    package init(after round: Int = .random(in: 0..<HousekeepingRota.cycle)) { self.round = round }

    package mutating func next() -> Job {
        self.round = (self.round + 1) % Self.cycle
        return Self.turns.first { self.round.isMultiple(of: $0.rounds) }?.job ?? .sweep
    }
}
