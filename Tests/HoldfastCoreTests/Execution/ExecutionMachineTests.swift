// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("An execution")
struct ExecutionMachineTests {
    typealias Machine = ExecutionMachine

    enum State: CaseIterable, Sendable {
        case running, runningOneStep, runningTwoSteps
        case drainingOneStep, drainingTwoSteps
        case closed, closedWithStep
        case finished, finishedWithStep
        case discarded

        /// The machine in this state; whatever interrupts it does so for `.shutdown`.
        var machine: Machine {
            get throws {
                var machine = Machine()
                switch self {
                case .running, .closed, .finished: break
                case .runningOneStep, .drainingOneStep, .closedWithStep, .finishedWithStep, .discarded:
                    try machine.beginStep()
                case .runningTwoSteps, .drainingTwoSteps:
                    try machine.beginStep()
                    try machine.beginStep()
                }
                switch self {
                case .running, .runningOneStep, .runningTwoSteps: break
                case .drainingOneStep, .drainingTwoSteps: _ = machine.drain(.shutdown)
                case .closed, .closedWithStep: _ = machine.close(.shutdown)
                case .finished, .finishedWithStep: _ = machine.finish()
                case .discarded:
                    _ = machine.drain(.shutdown)
                    _ = machine.finish()
                }
                return machine
            }
        }
    }

    enum Event: CaseIterable, Sendable {
        case admit, beginStep, endStep, drain, close, finish
    }

    enum Effect: Equatable, Sendable {
        case none
        case cancelTask
        /// `admit` and `beginStep` refuse.
        case refuse(InterruptionReason)
        /// `finish` says to discard the outcome.
        case discard(InterruptionReason)
        /// A precondition forbids it: see `MisuseTests`.
        case trap
    }

    /// The state as it is visible from outside.
    enum View: Equatable, Sendable {
        case running
        case draining(InterruptionReason)
        case closed(InterruptionReason)
        case finished
        case impossible

        init(_ machine: Machine) {
            let admits = (try? machine.admit()) != nil
            self =
                switch (machine.interruption, machine.mayRecordSteps, admits) {
                case (nil, true, true): .running
                case (let reason?, true, false): .draining(reason)
                case (let reason?, false, false): .closed(reason)
                case (nil, false, false): .finished
                default: .impossible
                }
        }
    }

    struct Row: Sendable {
        var effect: Effect
        var view: View

        init(_ effect: Effect, _ view: View) {
            self.effect = effect
            self.view = view
        }
    }

    /// The whole machine. `drain` and `close` come for `.cancelled`, so that it is seen which reason stays.
    static func expected(_ state: State, _ event: Event) -> Row {
        switch (state, event) {
        case (.running, .endStep): Row(.trap, .running)
        case (.running, .drain): Row(.cancelTask, .closed(.cancelled))
        case (.runningOneStep, .drain), (.runningTwoSteps, .drain): Row(.none, .draining(.cancelled))
        case (.running, .admit), (.runningOneStep, .admit), (.runningTwoSteps, .admit): Row(.none, .running)
        case (.running, .beginStep), (.runningOneStep, .beginStep), (.runningTwoSteps, .beginStep):
            Row(.none, .running)
        case (.runningOneStep, .endStep), (.runningTwoSteps, .endStep): Row(.none, .running)
        case (.running, .close), (.runningOneStep, .close), (.runningTwoSteps, .close):
            Row(.cancelTask, .closed(.cancelled))
        case (.running, .finish), (.runningOneStep, .finish), (.runningTwoSteps, .finish): Row(.none, .finished)

        case (.drainingOneStep, .admit), (.drainingTwoSteps, .admit),
            (.drainingOneStep, .beginStep), (.drainingTwoSteps, .beginStep):
            Row(.refuse(.shutdown), .draining(.shutdown))
        case (.drainingOneStep, .endStep): Row(.cancelTask, .closed(.shutdown))
        case (.drainingTwoSteps, .endStep): Row(.none, .draining(.shutdown))
        case (.drainingOneStep, .drain), (.drainingTwoSteps, .drain): Row(.none, .draining(.shutdown))
        case (.drainingOneStep, .close), (.drainingTwoSteps, .close): Row(.cancelTask, .closed(.cancelled))
        case (.drainingOneStep, .finish), (.drainingTwoSteps, .finish): Row(.discard(.shutdown), .closed(.shutdown))

        case (.closed, .admit), (.closed, .beginStep), (.closedWithStep, .admit), (.closedWithStep, .beginStep),
            (.discarded, .admit), (.discarded, .beginStep):
            Row(.refuse(.shutdown), .closed(.shutdown))
        case (.closed, .finish), (.closedWithStep, .finish), (.discarded, .finish):
            Row(.discard(.shutdown), .closed(.shutdown))
        case (.closed, _), (.closedWithStep, _), (.discarded, _): Row(.none, .closed(.shutdown))

        case (.finished, .admit), (.finished, .beginStep), (.finishedWithStep, .admit), (.finishedWithStep, .beginStep):
            Row(.refuse(.lostOwnership), .finished)
        case (.finished, _), (.finishedWithStep, _): Row(.none, .finished)
        }
    }

    @Test("Every event in every state", arguments: State.allCases, Event.allCases)
    func table(state: State, event: Event) throws {
        var machine = try state.machine
        let expected = Self.expected(state, event)
        guard expected.effect != .trap else { return }
        let effect = try Self.apply(event, .cancelled, to: &machine)
        #expect(effect == expected.effect)
        #expect(View(machine) == expected.view)
    }

    @Test("A step under way when the drain begins may record; the end of the last one cancels the task")
    func drainWithSteps() throws {
        var machine = Machine()
        try machine.beginStep()
        try machine.beginStep()
        #expect(machine.drain(.shutdown) == .none)
        #expect(machine.mayRecordSteps)
        #expect(throws: Machine.Interruption(reason: .shutdown)) { try machine.beginStep() }
        #expect(machine.endStep() == .none)
        #expect(machine.mayRecordSteps)
        #expect(machine.endStep() == .cancelTask)
        #expect(!machine.mayRecordSteps)
        #expect(machine.finish() == .shutdown)
    }

    static func apply(_ event: Event, _ reason: InterruptionReason, to machine: inout Machine) throws -> Effect {
        func read(_ action: Machine.Action) -> Effect {
            switch action {
            case .none: .none
            case .cancelTask: .cancelTask
            }
        }
        switch event {
        case .admit, .beginStep:
            do throws(Machine.Interruption) {
                if event == .admit { try machine.admit() } else { try machine.beginStep() }
                return .none
            } catch {
                return .refuse(error.reason)
            }
        case .endStep: return read(machine.endStep())
        case .drain: return read(machine.drain(reason))
        case .close: return read(machine.close(reason))
        case .finish: return machine.finish().map { .discard($0) } ?? .none
        }
    }
}
