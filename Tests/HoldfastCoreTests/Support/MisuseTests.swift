// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

/// The (state, event) pairs which only a mistake in our own code can bring about.
@Suite("Misuse ends the process")
struct MisuseTests {
    @Test("A commit that nobody leads")
    func committedWhileIdle() async {
        await #expect(processExitsWith: .failure) {
            var machine = BatchMachine<BatchRequest>(maximumCount: 1, maximumBytes: 1)
            _ = machine.committed()
        }
    }

    @Test("A batch that can hold nothing")
    func emptyBatches() async {
        await #expect(processExitsWith: .failure) {
            _ = BatchMachine<BatchRequest>(maximumCount: 0, maximumBytes: 1)
        }
    }

    @Test("The end of a step that did not begin")
    func endWithoutBegin() async {
        await #expect(processExitsWith: .failure) {
            var machine = ExecutionMachine()
            _ = machine.endStep()
        }
    }

    @Test("A lease that ends before its holder stops")
    func unsafeLease() async {
        await #expect(processExitsWith: .failure) {
            _ = LivenessMachine(heartbeat: .seconds(1), selfStop: .seconds(10), lease: .seconds(10))
        }
    }
}
