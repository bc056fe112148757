// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension HoldfastExecutor {
    /// How an executor is, as far as it knows itself: for probes, watchdogs and status pages.
    public struct Health: Sendable, Hashable {
        /// Where an executor is in its life.
        public enum Phase: String, Sendable, Hashable {
            /// It waits for the database, migrates it, or joins the fleet.
            case starting
            /// It claims and runs work.
            case serving
            /// It handed its work over at an operator's request, and claims nothing more.
            case drained
            /// It finishes its steps and hands the rest over, because it was told to stop.
            case stopping
            /// Its `run()` is over.
            case ended
        }

        /// Where it is in its life.
        public var phase: Phase
        /// Whether it may own work: it has joined, and has renewed its lease lately enough.
        public var holdsLease: Bool
        /// The time since its last successful renewal; `nil` before it has joined.
        public var sinceRenewal: Duration?
        /// The time since the database last answered anything but a renewal; `nil` when it never did.
        public var sinceAnswer: Duration?
        /// How many workflows hold a slot; those that sleep or await a child hold none.
        public var running: Int
        /// How many slots there are.
        public var capacity: Int

        /// Whether it claims and runs work now.
        public var isReady: Bool { self.phase == .serving && self.holdsLease }

        /// Whether a restart is likely to help: its lease has not been renewed for a minute, and the database is not to
        /// blame, because it answers. While the database is down no executor is stuck; all of them wait.
        public var isStuck: Bool {
            guard self.phase == .serving || self.phase == .drained else { return false }
            guard let sinceRenewal, let sinceAnswer else { return false }
            return sinceRenewal > Self.patience && sinceAnswer < Self.freshness
        }

        private static let patience: Duration = .seconds(60)
        /// Some rounds of the housekeeper, which asks the database something every second.
        private static let freshness: Duration = .seconds(10)

        /// One line for people.
        var sentence: String {
            switch self.phase {
            case .starting: return "starting; waiting for the database if this lasts"
            case .serving where self.holdsLease: return "serving, \(self.running) of \(self.capacity) slots in use"
            case .serving, .drained:
                if self.holdsLease { return "drained on request, claims nothing more" }
                let age = self.sinceRenewal.map { " for \($0.components.seconds) s" } ?? ""
                return "its lease could not be renewed\(age), so it stopped its work"
                    + (self.isStuck ? "; the database answers, so a restart may help" : " and tries to join again")
            case .stopping: return "stopping, \(self.running) workflows hold a slot"
            case .ended: return "stopped"
            }
        }
    }

    /// How this executor is now. The answer comes from memory.
    public var health: Health {
        let now = ContinuousClock.now
        let (holdsLease, renewedAt) = self.membership.standing
        return Health(
            phase: self.life.phase,
            holdsLease: holdsLease,
            sinceRenewal: renewedAt.map { now - $0 },
            sinceAnswer: self.housekeeper.answeredAt.map { now - $0 },
            running: self.host.running.counts().active,
            capacity: self.configuration.maxConcurrentWorkflows
        )
    }
}
