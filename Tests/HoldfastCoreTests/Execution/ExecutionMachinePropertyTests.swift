// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

@Suite("An execution, whatever happens")
struct ExecutionMachinePropertyTests {
    typealias Machine = ExecutionMachine
    typealias Event = ExecutionMachineTests.Event
    typealias Effect = ExecutionMachineTests.Effect

    private static let reasons: [InterruptionReason] = [.lostOwnership, .cancelled, .shutdown, .selfFenced]

    @Test("No user code gets out of a drain, a close or the end", arguments: 1...40)
    func interruption(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            var machine = Machine()
            var steps = 0
            var drained: InterruptionReason?
            var closed: InterruptionReason?
            var isFinished = false
            var cancellations = 0
            for _ in 0..<generator.pick(1...40) {
                let event = Event.allCases[generator.below(Event.allCases.count)]
                // Ends come seldom, or nothing else would happen.
                if event == .finish || event == .close || event == .drain, generator.chance(70) { continue }
                if event == .endStep {
                    guard steps > 0 else { continue }
                    steps -= 1
                }
                let reason = Self.reasons[generator.below(4)]
                let mayRecord = machine.mayRecordSteps
                let effect = try ExecutionMachineTests.apply(event, reason, to: &machine)
                let isOver = isFinished || drained != nil || closed != nil

                switch event {
                case .admit, .beginStep:
                    if isOver {
                        #expect(effect == .refuse(closed ?? drained ?? .lostOwnership))
                    } else {
                        #expect(effect == .none)
                        if event == .beginStep { steps += 1 }
                    }
                case .drain:
                    if !isOver { drained = reason }
                case .close:
                    if !isFinished && closed == nil { closed = reason }
                case .finish:
                    #expect(effect == (closed ?? drained).map { .discard($0) } ?? .none)
                    if isOver { closed = closed ?? drained } else { isFinished = true }
                    if isFinished { closed = nil }
                case .endStep: break
                }
                if effect == .cancelTask { cancellations += 1 }
                if drained != nil && closed == nil && steps == 0 { closed = drained }

                #expect(machine.interruption == closed ?? drained)
                #expect(machine.mayRecordSteps == (closed == nil && !isFinished))
                #expect(mayRecord || !machine.mayRecordSteps, "what may not record never may again")
                #expect(cancellations <= 1, "the task is cancelled once")
            }
        }
    }

    @Test("The first reason to close wins", arguments: reasons, reasons)
    func firstReason(first: InterruptionReason, second: InterruptionReason) {
        var machine = Machine()
        #expect(machine.close(first) == .cancelTask)
        #expect(machine.close(second) == .none)
        #expect(machine.drain(second) == .none)
        #expect(machine.interruption == first)
        #expect(machine.finish() == first)
        #expect(machine.interruption == first)
    }

    @Test("A drain with nothing under way cancels at once, so a shutdown does not wait for a sleep")
    func drainWithoutSteps() {
        var machine = Machine()
        #expect(machine.drain(.shutdown) == .cancelTask)
        #expect(!machine.mayRecordSteps)
    }

    @Test("A lost workflow need not wait for the end of its drain")
    func closeWhileDraining() throws {
        var machine = Machine()
        try machine.beginStep()
        #expect(machine.drain(.shutdown) == .none)
        #expect(machine.close(.lostOwnership) == .cancelTask)
        #expect(machine.endStep() == .none)
        #expect(machine.finish() == .lostOwnership)
    }
}
