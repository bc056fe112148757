// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HeapModule
import HoldfastCore

/// A fleet, a network and a database under a schedule drawn from a seed.
///
/// The executors decide with the library's own machines: `LivenessMachine`, `Tenure`, `ReclaimMachine`, `ExecutionMachine`,
/// `ClockEstimate`, `TokenSequence`. The rest of a process, the network and the database are simulated. Processes are killed,
/// frozen, cut off, told to stop and replaced; the database is restarted, loses sessions, and its clock is set; messages are late, lost,
/// or arrive after whoever sent them is gone. Then all trouble ends, and everything has to come to its end.
///
/// The same seed makes the same schedule.
package struct Simulation {
    package struct Event: Sendable {
        enum Kind: Sendable {
            case arrive(request: Int)
            case commit(request: Int)
            case answer(request: Int)
            case fail(request: Int)
            case lockTimeout(request: Int)
            case timer(Timer)
            case sessionEnds(Int)
            case fault
            case serverUp(boot: Int)
            case thaw(process: Int)
            case reconnect(process: Int)
            case launch(slot: Int)
            case enqueue(work: Int)
            case calm
        }

        enum Timer: Sendable {
            case renew(at: Int)
            case hedge
            case clock(at: Int)
            case claim(at: Int)
            case watch
            case orphans
            case confirm
            case joinAgain
            case joinLimit(life: Int)
            case openSession
            case step(execution: Int)
            case retry(execution: Int)
            case repeatOutcome(work: Int, Token, value: Int, fences: Int)
            case repeatHandBack(work: Int, Token)
            case repeatStart(work: Int, Token)
            case grace
            case leave
            case exit
        }

        var kind: Kind
        /// Whose it is; `nil`: nobody's in particular.
        var process: Int?
    }

    struct Scheduled: Comparable {
        let time: Int
        /// Decides between events of one moment.
        let order: UInt64
        let event: Event

        static func < (one: Scheduled, other: Scheduled) -> Bool {
            one.time == other.time ? one.order < other.order : one.time < other.time
        }

        static func == (one: Scheduled, other: Scheduled) -> Bool { one.time == other.time && one.order == other.order }
    }

    /// A statement on its way, at the server, or answered.
    struct Request: Sendable {
        let process: Int
        let connections: Int
        let statement: Statement
        var transaction: SimulatedDatabase.Transaction?
        var answer: Answer?
        /// The run of the server in which it arrived.
        var boot = 0
        /// Whether its client was cut off in the middle, so that its transaction stays open.
        var hangs = false
    }

    let settings: Settings
    let mutant: Mutant?
    var generator: SeededGenerator
    var database: SimulatedDatabase
    var judge: Judge
    var processes: [SimulatedProcess] = []
    var requests: [Request] = []
    /// Requests that wait for a lock.
    var blocked: [Int] = []
    var now = 0
    /// Whether faults are over for good.
    var isCalm = false
    /// When the database's clock was set last.
    var clockSetAt = Int.min / 2
    var acknowledged: [Bool]
    /// Started directly: the only process that ever heard of it may die with it.
    var startedDirectly: [Bool]
    var starters: [Int?]
    private var heap = Heap<Scheduled>()
    private let origin = ContinuousClock.Instant.now
    private var isOver = false
    /// Told what happens, line by line.
    let trace: ((String) -> Void)?

    init(seed: UInt64, mutant: Mutant? = nil, trace: ((String) -> Void)? = nil) {
        self.trace = trace
        var generator = SeededGenerator(seed: seed)
        let settings = Settings(&generator)
        let works = (0..<settings.workflows).map { _ in SimulatedDatabase.Work(steps: generator.pick(1...4)) }
        self.settings = settings
        self.mutant = mutant
        self.database = SimulatedDatabase(settings: settings, works: works, mutant: mutant)
        self.judge = Judge(seed: seed, settings: settings, works: works)
        self.acknowledged = Array(repeating: false, count: works.count)
        self.startedDirectly = works.map { _ in generator.chance(25) }
        self.starters = works.map { _ in nil }
        self.generator = generator
    }

    /// Runs one schedule.
    ///
    /// - Parameter trace: Told what happens, line by line.
    package static func run(seed: UInt64, mutant: Mutant? = nil, trace: ((String) -> Void)? = nil) -> Tally {
        var simulation = Simulation(seed: seed, mutant: mutant, trace: trace)
        return simulation.run()
    }

    /// Runs many, and adds up.
    package static func run(seeds: Range<UInt64>, mutant: Mutant? = nil) -> Tally {
        var sum = Tally()
        for seed in seeds { sum += self.run(seed: seed, mutant: mutant) }
        return sum
    }

    /// The first schedule in which a mutant is caught at what it has to be caught at; `nil`: in none of these.
    package static func firstCatch(of mutant: Mutant, in seeds: Range<UInt64>) -> UInt64? {
        seeds.first { self.run(seed: $0, mutant: mutant).violations[mutant.expected] != nil }
    }

    private mutating func run() -> Tally {
        for slot in 0..<self.settings.slots { self.schedule(.launch(slot: slot), in: self.generator.below(500)) }
        for work in self.database.works.indices {
            self.schedule(.enqueue(work: work), in: self.generator.below(self.settings.trouble))
        }
        for _ in 0..<self.settings.faults { self.schedule(.fault, in: self.generator.below(self.settings.trouble)) }
        self.schedule(.calm, in: self.settings.trouble)
        while !self.isOver, let next = self.heap.popMin() {
            self.now = next.time
            self.judge.tally.add(.events)
            if self.trace != nil { self.tell(next.event) }
            let before = self.judge.tally.violations
            self.handle(next.event)
            if self.trace != nil, self.judge.tally.violations != before { self.tellViolations(since: before) }
            if self.now > self.settings.trouble + self.settings.patience { break }
        }
        self.judge.conclude(self.database) { self.startedDirectly[$0] && !self.acknowledged[$0] }
        return self.judge.tally
    }

    // MARK: Time

    func instant(_ time: Int) -> ContinuousClock.Instant { self.origin + .milliseconds(time) }

    func milliseconds(_ instant: ContinuousClock.Instant) -> Int { Int((instant - self.origin) / .milliseconds(1)) }

    mutating func schedule(_ kind: Event.Kind, of process: Int? = nil, in delay: Int) {
        let event = Event(kind: kind, process: process)
        self.heap.insert(Scheduled(time: self.now + max(0, delay), order: self.generator.next(), event: event))
    }

    /// A timer; an earlier one of its kind that carries another moment is void.
    mutating func timer(_ timer: Event.Timer, of process: Int, in delay: Int) {
        self.schedule(.timer(timer), of: process, in: delay)
    }

    // MARK: Events

    private mutating func handle(_ event: Event) {
        if let process = event.process {
            switch self.processes[process].state {
            case .gone: return
            case .frozen: return self.processes[process].inbox.append(event)
            case .running: break
            }
        }
        switch event.kind {
        case .arrive(let request): self.arrive(request)
        case .commit(let request): self.commit(request)
        case .answer(let request): self.answered(request)
        case .fail(let request): self.failed(request)
        case .lockTimeout(let request): self.giveUpLock(request)
        case .timer(let timer): if let process = event.process { self.fired(timer, process) }
        case .sessionEnds(let session): self.endSession(session)
        case .fault: self.strike()
        case .serverUp(let boot): if boot == self.database.boots { self.database.isUp = true }
        case .thaw(let process): self.thaw(process)
        case .reconnect(let process): self.reconnected(process)
        case .launch(let slot): self.launchUnlessTaken(slot)
        case .enqueue(let work): self.accept(work)
        case .calm: self.endTrouble()
        }
        if self.isCalm, self.isDone { self.isOver = true }
    }

    /// Whether every workflow that was accepted has its outcome, and no step runs any more.
    private var isDone: Bool {
        self.database.works.indices.allSatisfy { work in
            let row = self.database.works[work]
            return row.status == .success
                || (row.status == .absent && self.startedDirectly[work] && !self.isStarting(work))
        }
    }

    /// Whether a process still tries to start it, or one that is gone has tried, and what it sent may still arrive.
    private func isStarting(_ work: Int) -> Bool {
        guard let starter = self.starters[work] else { return true }
        return self.processes[starter].state != .gone || self.now < self.settings.trouble + 5 * self.settings.lease
    }

    // MARK: The world outside

    /// Somebody wants a workflow: through a client, or within an executor.
    private mutating func accept(_ work: Int) {
        if self.startedDirectly[work] {
            let candidates = self.processes.indices.filter {
                self.processes[$0].state == .running && self.processes[$0].tenure.isOpen
                    && !self.processes[$0].isDraining
            }
            if let process = candidates.isEmpty ? nil : candidates[self.generator.below(candidates.count)] {
                self.starters[work] = process
                return self.startDirectly(work, process)
            }
            self.startedDirectly[work] = false
        }
        guard self.database.isUp else { return self.schedule(.enqueue(work: work), in: 200) }
        self.database.works[work].status = .enqueued
        for process in self.processes.indices { self.hint(process) }
    }

    // MARK: Telling

    private func tell(_ event: Event) {
        let what =
            switch event.kind {
            case .arrive(let request): "arrives at the server: \(self.requests[request].statement)"
            case .commit(let request): "commits: \(self.requests[request].statement)"
            case .answer(let request): "is answered: \(self.requests[request].statement)"
            case .fail(let request): "fails: \(self.requests[request].statement)"
            default: "\(event.kind)"
            }
        let process = event.process.map {
            "process \($0) (slot \(self.processes[$0].slot), \(self.processes[$0].state))"
        }
        self.trace?("\(self.now) ms\t\(process ?? "-")\t\(what)")
    }

    private func tellViolations(since before: [Violation: Int]) {
        for (violation, count) in self.judge.tally.violations where count > before[violation, default: 0] {
            self.trace?("\(self.now) ms\t!!! \(violation)")
        }
    }
}
