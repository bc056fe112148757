// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore

/// One executor, a network that delays and loses messages, and a database that keeps leases by its own clock, driven by
/// a seeded schedule. It reports every moment at which a promise is broken.
///
/// The executor is harsher than the real one: it does not wait for an answer before it sends the next renewal.
struct LivenessSimulation {
    /// What the executor reports to its machine as the time of a renewal.
    enum Stamp: Sendable {
        case sending
        /// A mistake: the answer's arrival is later than the moment from which the database counts.
        case answer
    }

    /// How the executor keeps time.
    enum Watch: Sendable {
        case punctual
        /// A mistake: nobody ticks the machine.
        case none
    }

    enum Violation: Hashable, Sendable {
        /// The lease has expired in the database, and the executor may still work.
        case workedWithoutLease
        /// Self-stop has passed since the last successful renewal was sent, and the executor is still a member.
        case fencedTooLate
        /// It would have judged leases without a full lease of steady renewals on one server.
        case judgedTooEarly
        /// It came back from *replaced*, or took an answer about its own earlier life for a successor.
        case wrongReplacement
    }

    struct Tally: Sendable {
        var violations: [Violation: Int] = [:]
        var fences = 0
        var takeovers = 0
        var replacements = 0
        var judgements = 0

        static func += (sum: inout Tally, other: Tally) {
            sum.violations.merge(other.violations, uniquingKeysWith: +)
            sum.fences += other.fences
            sum.takeovers += other.takeovers
            sum.replacements += other.replacements
            sum.judgements += other.judgements
        }
    }

    private struct Message {
        var life: Int
        var isJoin: Bool
        var sentAt: Int
        var arrivesAt: Int
        /// When the answer is back; `nil` until the message has arrived.
        var answeredAt: Int?
        var answer: LivenessMachine.RenewalAnswer?
        var epoch = 0
    }

    private struct Row {
        var life: Int
        /// By the database's clock.
        var expiresAt: Int
        var end: LivenessMachine.RenewalAnswer?
    }

    private let stamp: Stamp
    private let watch: Watch
    private let heartbeat: Int
    private let selfStop: Int
    private let lease: Int
    /// How far the database's clock is ahead of the executor's.
    private let skew: Int
    private let badNetwork: Int
    private let start = ContinuousClock.Instant.now
    private var generator: SeededGenerator
    private var machine: LivenessMachine
    private var tally = Tally()

    private var now = 0
    private var frozenUntil = 0
    private var nextSend = 0
    private var life = 0
    private var messages: [Message] = []
    private var row: Row?
    private var serverEpoch = 1
    private var isSucceeded = false
    /// The successful renewals of this life that the executor knows of: when they were sent, and the server's epoch.
    private var renewals: [(sentAt: Int, epoch: Int)] = []

    init(seed: UInt64, stamp: Stamp = .sending, watch: Watch = .punctual) {
        self.stamp = stamp
        self.watch = watch
        var generator = SeededGenerator(seed: seed)
        self.heartbeat = generator.pick(50...200)
        self.selfStop = self.heartbeat + generator.pick(1...800)
        self.lease = self.selfStop + generator.pick(1...300)
        self.skew = generator.pick(-5000...5000)
        self.badNetwork = generator.pick(0...50)
        self.machine = LivenessMachine(
            heartbeat: .milliseconds(self.heartbeat),
            selfStop: .milliseconds(self.selfStop),
            lease: .milliseconds(self.lease)
        )
        self.generator = generator
    }

    static func run(seed: UInt64, stamp: Stamp = .sending, watch: Watch = .punctual, events: Int = 45) -> Tally {
        var simulation = LivenessSimulation(seed: seed, stamp: stamp, watch: watch)
        for _ in 0..<events { simulation.step() }
        return simulation.tally
    }

    private var databaseNow: Int { self.now + self.skew }
    private var isFrozen: Bool { self.now < self.frozenUntil }
    private var selfStopAt: Int? { self.machine.selfStopAt.map { Int(($0 - self.start).inMilliseconds) } }
    private func instant(_ milliseconds: Int) -> ContinuousClock.Instant { self.start + .milliseconds(milliseconds) }

    // MARK: Time

    /// Goes on to the next moment at which something can happen, and lets it happen.
    private mutating func step() {
        var next = max(self.nextSend, self.frozenUntil)
        for message in self.messages {
            next = min(next, message.answeredAt.map { max($0, self.frozenUntil) } ?? message.arrivesAt)
        }
        if self.watch == .punctual, let moment = self.selfStopAt { next = min(next, max(moment, self.frozenUntil)) }
        if let row, row.end == nil { next = min(next, max(self.now, row.expiresAt - self.skew + 1)) }
        self.now = max(self.now, next)

        self.deliver()
        self.check()
        self.runPeers()
        guard !self.isFrozen else { return }
        // After a freeze nothing says whether the clock or the answers come first.
        if self.generator.chance(50) {
            self.tick()
            self.receive()
        } else {
            self.receive()
            self.tick()
        }
        self.send()
        self.check()
        if self.generator.chance(4) { self.frozenUntil = self.now + self.generator.pick(1...(3 * self.lease)) }
    }

    // MARK: The database and its peers

    private mutating func deliver() {
        for index in self.messages.indices.reversed() {
            let message = self.messages[index]
            guard message.answeredAt == nil, message.arrivesAt <= self.now else { continue }
            self.messages[index].answer = message.isJoin ? self.join(message.life) : self.renew(message.life)
            self.messages[index].epoch = self.serverEpoch
            self.messages[index].answeredAt = self.now + self.delay()
            // Most trouble of a network is an answer that never comes.
            if self.generator.chance(self.badNetwork / 2) { self.messages.remove(at: index) }
        }
    }

    private mutating func join(_ life: Int) -> LivenessMachine.RenewalAnswer {
        if life >= self.row?.life ?? 0 { self.row = Row(life: life, expiresAt: self.databaseNow + self.lease) }
        return .renewed(serverEpoch: "\(self.serverEpoch)")
    }

    private mutating func renew(_ life: Int) -> LivenessMachine.RenewalAnswer {
        guard let row, row.life == life else { return .superseded }
        if let end = row.end { return end }
        let expiry = self.databaseNow + self.lease
        self.row?.expiresAt = expiry
        return .renewed(serverEpoch: "\(self.serverEpoch)")
    }

    private mutating func runPeers() {
        if self.generator.chance(1) { self.serverEpoch += 1 }
        guard let row, row.end == nil else { return }
        if row.expiresAt < self.databaseNow {
            self.row?.end = .declaredDead
            self.tally.takeovers += 1
        } else if !self.isSucceeded, self.generator.below(400) == 0 {
            self.row?.end = .superseded
            self.isSucceeded = true
        }
    }

    // MARK: The executor

    private mutating func delay() -> Int {
        self.generator.chance(self.badNetwork) ? self.generator.pick(1...(2 * self.lease)) : self.generator.pick(0...10)
    }

    private mutating func send() {
        guard self.now >= self.nextSend else { return }
        self.nextSend = self.now + self.heartbeat - self.generator.below(self.heartbeat / 10)
        guard !self.machine.isReplaced, self.messages.count < 8 else { return }
        let isJoin = !self.machine.isMember
        if isJoin {
            self.life += 1
            self.renewals = []
        }
        if self.generator.chance(self.badNetwork / 2) { return }
        self.messages.append(
            Message(life: self.life, isJoin: isJoin, sentAt: self.now, arrivesAt: self.now + self.delay())
        )
    }

    private mutating func receive() {
        for message in self.messages where message.answeredAt.map({ $0 <= self.now }) == true {
            guard let answer = message.answer else { continue }
            let sentAt = self.stamp == .sending ? message.sentAt : self.now
            if message.isJoin {
                // Only the newest join counts, and only as an answer to who is not in yet.
                guard message.life == self.life, !self.machine.isMember else { continue }
                self.machine.joined(
                    sentAt: self.instant(sentAt),
                    now: self.instant(self.now),
                    serverEpoch: "\(message.epoch)"
                )
                self.renewals = [(message.sentAt, message.epoch)]
                // `tick` is due at `selfStopAt`, and a slow answer may come after that.
                if self.watch == .punctual { self.tick() }
                continue
            }
            let wasMember = self.machine.isMember
            let action = self.machine.answered(answer, sentAt: self.instant(sentAt), now: self.instant(self.now))
            if action == .fence { self.tally.fences += 1 }
            if action == .stop {
                self.tally.replacements += 1
                if !self.isSucceeded { self.violate(.wrongReplacement) }
            }
            if wasMember, action == .none, case .renewed = answer, message.life == self.life,
                message.sentAt >= self.renewals.last?.sentAt ?? 0
            {
                self.renewals.append((message.sentAt, message.epoch))
            }
        }
        self.messages.removeAll { $0.answeredAt.map { $0 <= self.now } == true }
    }

    private mutating func tick() {
        guard self.watch == .punctual else { return }
        let wasReplaced = self.machine.isReplaced
        if self.machine.tick(now: self.instant(self.now)) == .fence { self.tally.fences += 1 }
        if wasReplaced && !self.machine.isReplaced { self.violate(.wrongReplacement) }
        if self.machine.isMember, let last = self.renewals.last, self.now >= last.sentAt + self.selfStop {
            self.violate(.fencedTooLate)
        }
    }

    // MARK: The promises

    private mutating func violate(_ violation: Violation) { self.tally.violations[violation, default: 0] += 1 }

    private mutating func check() {
        guard self.machine.isMember else { return }
        let mayWork = self.selfStopAt.map { self.now < $0 } ?? false
        if mayWork, let row, row.life == self.life, row.expiresAt < self.databaseNow {
            self.violate(.workedWithoutLease)
        }
        if self.watch == .none, !self.isFrozen, let last = self.renewals.last, self.now >= last.sentAt + self.selfStop {
            self.violate(.fencedTooLate)
        }
        guard self.machine.mayJudgeLeases(now: self.instant(self.now)) else { return }
        self.tally.judgements += 1
        if !self.isSteady { self.violate(.judgedTooEarly) }
    }

    /// Whether the last lease is covered by renewals on one server that follow each other closely up to now.
    private var isSteady: Bool {
        var later = self.now
        for renewal in self.renewals.reversed() {
            guard later - renewal.sentAt <= 3 * self.heartbeat else { return false }
            guard renewal.epoch == self.renewals.last?.epoch else { return false }
            if renewal.sentAt <= self.now - self.lease { return true }
            later = renewal.sentAt
        }
        return false
    }
}
