// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast

/// One call of `verifyRecovery`: the undisturbed run, the replays, and a run with a crash at every point.
struct RecoveryTrial<World, Effects: Equatable & Sendable> {
    let name: WorkflowName
    let options: RecoveryOptions
    let database: TestDatabase
    let client: HoldfastClient
    /// What survives a crash.
    let makeWorld: () throws -> World
    /// Makes the workflows of one process; what they keep in memory is lost in a crash.
    let register: (World, inout WorkflowRegistry) throws -> Void
    let observe: (World) async throws -> Effects
    /// Starts the workflow under test and waits for its result.
    let start: @Sendable (HoldfastClient, WorkflowID) async throws -> Void
    /// The moment at which every run begins.
    let began = Date()

    private var varying = VaryingPlaces()
    /// Undisturbed runs, the first one included.
    private var undisturbed: [RunRecord<Effects>] = []
    private var replayCount = 0
    private var missed: [CrashPoint] = []

    init(
        name: WorkflowName,
        options: RecoveryOptions,
        database: TestDatabase,
        client: HoldfastClient,
        makeWorld: @escaping () throws -> World,
        register: @escaping (World, inout WorkflowRegistry) throws -> Void,
        observe: @escaping (World) async throws -> Effects,
        start: @escaping @Sendable (HoldfastClient, WorkflowID) async throws -> Void
    ) {
        self.name = name
        self.options = options
        self.database = database
        self.client = client
        self.makeWorld = makeWorld
        self.register = register
        self.observe = observe
        self.start = start
    }

    /// 1. One undisturbed run: its outcome, its record, and the points at which it can crash.
    /// 2. The record, replayed against the code again and again: cheap, and it names the step that differs.
    /// 3. For each point a run that is killed there and recovered by another executor, compared with the first.
    mutating func verify() async throws -> RecoveryReport {
        let (reference, watch, _) = try await self.run(crash: nil)
        self.undisturbed = [reference]
        try await self.replay(reference, times: self.options.replays, crash: nil)
        let points = self.selection(of: watch.points)
        for point in points {
            let (record, watch, atCrash) = try await self.run(crash: point)
            if !watch.hasStruck { self.missed.append(point) }
            if let atCrash { try record.checkCheckpoints(of: atCrash, runs: watch.runs, crash: point) }
            try record.checkForMismatches(unlike: reference, crash: point)
            try await self.replay(record, times: 1, crash: point)
            try await self.compare(reference, record, point)
            try await self.compareEffects(record, point)
        }
        return RecoveryReport(
            crashes: points.count - self.missed.count,
            replays: self.replayCount,
            workflows: reference.histories.count,
            steps: reference.histories.values.reduce(0) { $0 + $1.steps.count },
            missed: self.missed,
            varyingSteps: self.varying.stepNames.sorted()
        )
    }

    private func selection(of points: [CrashPoint]) -> [CrashPoint] {
        guard let limit = self.options.maxCrashes, limit < points.count else { return points }
        return (0..<limit).map { points[$0 * points.count / limit] }
    }

    // MARK: Runs

    private typealias Run = (record: RunRecord<Effects>, watch: CrashWatch, atCrash: [String: WorkflowHistory]?)

    /// One run from the start to the end of the workflow and all its descendants, in empty schemas.
    private func run(crash: CrashPoint?) async throws -> Run {
        try await self.database.system.deleteAllRows()
        let world = try self.makeWorld()
        let clock = ManualClock(start: self.began, mode: .skipping)
        let watch = CrashWatch(root: self.options.workflowID, name: self.name, target: crash)
        try await self.inProcess(world, clock, watch) { [start, options] client in
            try await start(client, options.workflowID)
            try await Self.untilAllSettled(client)
        }
        var atCrash: [String: WorkflowHistory]?
        if watch.hasStruck {
            atCrash = try await self.histories()
            try await self.inProcess(world, clock, watch) { [options] client in
                // Its failure is a result as well.
                _ = try? await client.retrieve(options.workflowID, as: Nothing.self).result()
                try await Self.untilAllSettled(client)
            }
        }
        let record = RunRecord(
            histories: try await self.histories(),
            begun: Set(watch.runs.keys),
            effects: try await self.observe(world)
        )
        return (record, watch, atCrash)
    }

    private func histories() async throws -> [String: WorkflowHistory] {
        var filter = WorkflowFilter()
        filter.limit = Int(Int32.max)
        var histories: [WorkflowHistory] = []
        for workflow in try await self.client.workflows(filter) {
            histories.append(try await self.client.history(of: workflow.id))
        }
        return RunRecord<Effects>.byPath(histories, root: self.options.workflowID)
    }

    private static func untilAllSettled(_ client: HoldfastClient) async throws {
        var filter = WorkflowFilter()
        filter.limit = 1
        filter.statuses = WorkflowStatus.active
        while try await !client.workflows(filter).isEmpty { try await Task.sleep(for: .milliseconds(3)) }
    }

    private enum Ending: Sendable {
        case ended, killed
        case failed(any Error)
        case timedOut(String)
    }

    /// Runs an executor that knows the workflows anew, until `drive` returns or the executor is killed.
    private func inProcess(
        _ world: World,
        _ clock: ManualClock,
        _ watch: CrashWatch,
        _ drive: @escaping @Sendable (HoldfastClient) async throws -> Void
    ) async throws {
        let faults = watch.faults()
        var registry = WorkflowRegistry()
        try self.register(world, &registry)
        var configuration = self.configuration
        configuration.use(clock)
        let executor = try TestExecutor(
            id: "under-test",
            configuration,
            faults: faults,
            database: self.database,
            registry: registry,
            queues: self.options.queues
        )
        let ending: Ending
        do {
            try await executor.untilReady()
            ending = await self.drive(executor, drive)
        } catch {
            ending = .failed(error)
        }
        try await executor.kill()
        switch ending {
        case .ended, .killed: return
        case .failed(let error): throw error
        case .timedOut(let why): throw RecoveryFailure.stuck(self.name, after: self.options.timeLimit, watch, why)
        }
    }

    private func drive(
        _ executor: TestExecutor,
        _ drive: @escaping @Sendable (HoldfastClient) async throws -> Void
    ) async -> Ending {
        let (limit, client) = (self.options.timeLimit, self.client)
        return await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                await executor.faults.untilDead()
                return .killed
            }
            group.addTask {
                do {
                    try await drive(executor.client)
                    return .ended
                } catch {
                    // The dead hear nothing any more.
                    return executor.isKilled ? .killed : .failed(error)
                }
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return .timedOut(Task.isCancelled ? "" : await Self.waits(client))
            }
            let first = await group.next() ?? .ended
            group.cancelAll()
            // Also ends the first of the tasks.
            executor.faults.kill()
            return first
        }
    }

    private static func waits(_ client: HoldfastClient) async -> String {
        var filter = WorkflowFilter()
        filter.statuses = WorkflowStatus.active
        filter.limit = 3
        var sentences: [String] = []
        for workflow in (try? await client.workflows(filter)) ?? [] {
            let why = (try? await client.explain(workflow.id).sentence) ?? "\(workflow.status)"
            sentences.append("'\(workflow.id)' (\(workflow.name)): \(why)")
        }
        return sentences.joined(separator: "; ")
    }

    private var configuration: HoldfastExecutor.Configuration {
        var configuration = HoldfastExecutor.Configuration(
            applicationName: TestDatabase.applicationName,
            database: self.database.configuration
        )
        configuration.database.poolSize = 4
        configuration.applicationVersion = "under-test"
        configuration.heartbeat = .milliseconds(100)
        configuration.pollInterval = .milliseconds(10)
        configuration.quarantineAfter = nil
        configuration.trustsSchema = true
        return configuration
    }

    // MARK: Verdicts

    /// Runs the code with the record in the place of the world.
    private mutating func replay(_ record: RunRecord<Effects>, times: Int, crash: CrashPoint?) async throws {
        for (path, history) in record.histories.sorted(by: { $0.key < $1.key }) {
            let world = try self.makeWorld()
            for _ in 0..<times {
                var registry = WorkflowRegistry()
                try self.register(world, &registry)
                self.replayCount += 1
                guard let divergence = try await history.finding(with: registry).divergence else { continue }
                throw RecoveryFailure.nondeterministic(divergence, history, path: path, crash: crash)
            }
        }
    }

    /// Compares with the undisturbed run. What differs between undisturbed runs is not held against a recovery.
    private mutating func compare(
        _ reference: RunRecord<Effects>,
        _ record: RunRecord<Effects>,
        _ crash: CrashPoint
    ) async throws {
        let differences = reference.differences(from: record, varying: self.options.varyingSteps)
        for _ in 0..<Self.furtherRuns {
            if differences.allSatisfy({ self.varying.explains($0) }) { return }
            try await self.runUndisturbed(reference)
        }
        guard let difference = differences.first(where: { !self.varying.explains($0) }) else { return }
        throw RecoveryFailure.different(difference, self.name, reference, crash)
    }

    /// A step that was under way runs again, and its effect with it unless it is protected.
    private mutating func compareEffects(_ record: RunRecord<Effects>, _ crash: CrashPoint) async throws {
        if Effects.self == Unobserved.self { return }
        while true {
            switch EffectsVerdict.of(record, among: self.undisturbed, enough: Self.furtherRuns, most: Self.mostRuns) {
            case .same: return
            case .needsRun: try await self.runUndisturbed(self.undisturbed[0])
            case .different(let index):
                throw RecoveryFailure.effectRepeated(self.name, self.undisturbed[index].effects, record.effects, crash)
            case .varying(let index, let other):
                let effects = (self.undisturbed[index].effects, self.undisturbed[other].effects)
                throw RecoveryFailure.effectsVary(self.name, effects.0, effects.1)
            case .unknownWay:
                throw RecoveryFailure.unknownWay(self.name, self.undisturbed.count, record.effects, crash)
            }
        }
    }

    private mutating func runUndisturbed(_ reference: RunRecord<Effects>) async throws {
        let (other, _, _) = try await self.run(crash: nil)
        self.undisturbed.append(other)
        self.varying.add(reference.differences(from: other, varying: self.options.varyingSteps))
    }

    /// A coin that is tossed in a step shows the same side so often with a probability of 1 in 4096.
    private static var furtherRuns: Int { 12 }
    /// Until some undisturbed run has taken the way of a recovered one.
    private static var mostRuns: Int { 64 }
}
