// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("The group commit's queue")
struct BatchMachineTests {
    enum Event: Sendable {
        case submit(BatchRequest)
        case committed
    }

    /// The action, by the numbers of the requests in the batch, and what is left pending.
    enum Effect: Equatable, Sendable {
        case lead([Int])
        case wait
        case handOver([Int])
        case none
    }

    struct Line: Sendable {
        var event: Event
        var effect: Effect
        var pending: Int

        init(_ event: Event, _ effect: Effect, pending: Int) {
            self.event = event
            self.effect = effect
            self.pending = pending
        }
    }

    struct Dialogue: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var maximumCount = 3
        var maximumBytes = 100
        var lines: [Line]
    }

    private static func submit(_ number: Int, key: String? = nil, bytes: Int = 1) -> Event {
        .submit(BatchRequest(number, key: key, bytes: bytes))
    }

    /// The states are *idle*, *committing* with nothing pending and *committing* with something pending; the events are
    /// `submit` and `committed`. `committed` while idle ends the process: see `MisuseTests`.
    static let dialogues: [Dialogue] = [
        Dialogue(
            testDescription: "Idle: a request leads at once, alone",
            lines: [Line(submit(1), .lead([1]), pending: 0)]
        ),
        Dialogue(
            testDescription: "Committing: a request waits",
            lines: [
                Line(submit(1), .lead([1]), pending: 0),
                Line(submit(2), .wait, pending: 1),
                Line(submit(3), .wait, pending: 2),
            ]
        ),
        Dialogue(
            testDescription: "Committing, nothing pending: a commit leads to idle, and the next request leads again",
            lines: [
                Line(submit(1), .lead([1]), pending: 0),
                Line(.committed, .none, pending: 0),
                Line(submit(2), .lead([2]), pending: 0),
            ]
        ),
        Dialogue(
            testDescription: "Committing with something pending: a commit hands over everything that waited, in order",
            lines: [
                Line(submit(1), .lead([1]), pending: 0),
                Line(submit(2), .wait, pending: 1),
                Line(submit(3), .wait, pending: 2),
                Line(.committed, .handOver([2, 3]), pending: 0),
                Line(submit(4), .wait, pending: 1),
                Line(.committed, .handOver([4]), pending: 0),
                Line(.committed, .none, pending: 0),
            ]
        ),
        Dialogue(
            testDescription: "A batch ends at the number of requests",
            lines: [Line(submit(0), .lead([0]), pending: 0)]
                + (1...7).map { Line(submit($0), .wait, pending: $0) }
                + [
                    Line(.committed, .handOver([1, 2, 3]), pending: 4),
                    Line(.committed, .handOver([4, 5, 6]), pending: 1),
                    Line(.committed, .handOver([7]), pending: 0),
                    Line(.committed, .none, pending: 0),
                ]
        ),
        Dialogue(
            testDescription: "A batch ends at the number of bytes, which it may reach",
            lines: [
                Line(submit(0), .lead([0]), pending: 0),
                Line(submit(1, bytes: 60), .wait, pending: 1),
                Line(submit(2, bytes: 40), .wait, pending: 2),
                Line(submit(3, bytes: 99), .wait, pending: 3),
                Line(submit(4, bytes: 2), .wait, pending: 4),
                Line(.committed, .handOver([1, 2]), pending: 2),
                Line(.committed, .handOver([3]), pending: 1),
                Line(.committed, .handOver([4]), pending: 0),
            ]
        ),
        Dialogue(
            testDescription: "A request beyond the limit goes alone",
            lines: [
                Line(submit(0, bytes: 1000), .lead([0]), pending: 0),
                Line(submit(1, bytes: 1000), .wait, pending: 1),
                Line(submit(2, bytes: 1), .wait, pending: 2),
                Line(submit(3, bytes: 1000), .wait, pending: 3),
                Line(.committed, .handOver([1]), pending: 2),
                Line(.committed, .handOver([2]), pending: 1),
                Line(.committed, .handOver([3]), pending: 0),
            ]
        ),
        Dialogue(
            testDescription: "Equal keys go in different batches, in order; others pass them",
            maximumCount: 10,
            lines: [
                Line(submit(0, key: "k"), .lead([0]), pending: 0),
                Line(submit(1, key: "k"), .wait, pending: 1),
                Line(submit(2, key: "k"), .wait, pending: 2),
                Line(submit(3), .wait, pending: 3),
                Line(submit(4, key: "l"), .wait, pending: 4),
                Line(submit(5, key: "k"), .wait, pending: 5),
                Line(.committed, .handOver([1, 3, 4]), pending: 2),
                Line(submit(6), .wait, pending: 3),
                Line(.committed, .handOver([2, 6]), pending: 1),
                Line(.committed, .handOver([5]), pending: 0),
                Line(.committed, .none, pending: 0),
            ]
        ),
        Dialogue(
            testDescription: "A request that is passed over counts for no limit",
            maximumCount: 2,
            maximumBytes: 10,
            lines: [
                Line(submit(0), .lead([0]), pending: 0),
                Line(submit(1, key: "k", bytes: 2), .wait, pending: 1),
                Line(submit(2, key: "k", bytes: 8), .wait, pending: 2),
                Line(submit(3, bytes: 8), .wait, pending: 3),
                Line(.committed, .handOver([1, 3]), pending: 1),
                Line(.committed, .handOver([2]), pending: 0),
            ]
        ),
        Dialogue(
            testDescription: "With a limit of one request, everything goes alone",
            maximumCount: 1,
            maximumBytes: 1,
            lines: [
                Line(submit(0), .lead([0]), pending: 0),
                Line(submit(1, bytes: 0), .wait, pending: 1),
                Line(submit(2, bytes: 0), .wait, pending: 2),
                Line(.committed, .handOver([1]), pending: 1),
                Line(.committed, .handOver([2]), pending: 0),
                Line(.committed, .none, pending: 0),
            ]
        ),
    ]

    @Test("Its dialogues", arguments: dialogues)
    func dialogue(_ dialogue: Dialogue) {
        var machine = BatchMachine<BatchRequest>(
            maximumCount: dialogue.maximumCount,
            maximumBytes: dialogue.maximumBytes
        )
        for (index, line) in dialogue.lines.enumerated() {
            #expect(Self.apply(line.event, to: &machine) == line.effect, "line \(index + 1)")
            #expect(machine.pendingCount == line.pending, "line \(index + 1)")
        }
    }

    private static func apply(_ event: Event, to machine: inout BatchMachine<BatchRequest>) -> Effect {
        switch event {
        case .submit(let request):
            switch machine.submit(request) {
            case .lead(let batch): return .lead(batch.map(\.number))
            case .wait: return .wait
            }
        case .committed:
            switch machine.committed() {
            case .handOver(let batch): return .handOver(batch.map(\.number))
            case .none: return .none
            }
        }
    }
}
