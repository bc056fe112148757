// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import FleetSimulation
import HoldfastCore
import Testing

/// Drives the machine with a seeded sequence of events and checks each batch it makes.
private struct BatchDriver {
    let maximumCount: Int
    let maximumBytes: Int
    var machine: BatchMachine<BatchRequest>
    var generator: SeededGenerator
    /// Submitted and not yet in a batch, in order.
    var waiting: [BatchRequest] = []
    /// In batches, in order.
    var batched: [BatchRequest] = []
    var submitted = 0
    var isLed = false

    init(seed: UInt64) {
        self.generator = SeededGenerator(seed: seed)
        self.maximumCount = self.generator.pick(1...6)
        self.maximumBytes = self.generator.pick(1...200)
        self.machine = BatchMachine(maximumCount: self.maximumCount, maximumBytes: self.maximumBytes)
    }

    mutating func submit() {
        let key = self.generator.chance(50) ? nil : "k\(self.generator.below(3))"
        let request = BatchRequest(self.submitted, key: key, bytes: self.generator.below(120))
        self.submitted += 1
        switch self.machine.submit(request) {
        case .lead(let batch):
            #expect(!self.isLed, "only one batch is committed at a time")
            #expect(batch == [request], "an idle machine commits the request at once, alone")
            #expect(self.waiting.isEmpty, "an idle machine has nothing pending")
            self.isLed = true
            self.batched.append(request)
        case .wait:
            #expect(self.isLed, "a request waits only behind a commit")
            self.waiting.append(request)
        }
        #expect(self.machine.pendingCount == self.waiting.count)
    }

    mutating func commit() {
        switch self.machine.committed() {
        case .handOver(let batch):
            self.check(batch)
            self.batched += batch
        case .none:
            #expect(self.waiting.isEmpty, "the lead ends only when nothing is pending")
            self.isLed = false
        }
        #expect(self.machine.pendingCount == self.waiting.count)
    }

    private mutating func check(_ batch: [BatchRequest]) {
        #expect(!batch.isEmpty)
        #expect(batch.first == self.waiting.first, "the request that has waited longest goes first")
        #expect(batch.count <= self.maximumCount)
        let bytes = batch.reduce(0) { $0 + $1.byteCount }
        #expect(bytes <= self.maximumBytes || batch.count == 1)
        let keys = batch.compactMap(\.exclusionKey)
        #expect(Set(keys).count == keys.count, "no key twice in one batch")
        #expect(batch.map(\.number) == batch.map(\.number).sorted(), "a batch keeps the order of submission")

        let taken = Set(batch.map(\.number))
        #expect(taken.isSubset(of: self.waiting.map(\.number)), "only what waits, and nothing twice")
        let last = batch.last?.number ?? 0
        let passed = self.waiting.filter { $0.number < last && !taken.contains($0.number) }
        for request in passed {
            #expect(request.exclusionKey.map(keys.contains) == true, "a request is passed over only for its key")
        }
        self.waiting.removeAll { taken.contains($0.number) }
        // Latency: what could have come along did.
        if batch.count < self.maximumCount {
            let next = self.waiting.first { $0.number > last && $0.exclusionKey.map(keys.contains) != true }
            if let next { #expect(bytes + next.byteCount > self.maximumBytes, "\(next) would have fitted") }
        }
    }

    func checkEnd() {
        let numbers = self.batched.map(\.number).sorted()
        #expect(numbers == Array(0..<self.submitted), "each request is in exactly one batch")
        for key in ["k0", "k1", "k2", nil] {
            let numbers = self.batched.filter { $0.exclusionKey == key }.map(\.number)
            #expect(numbers == numbers.sorted(), "requests of one key keep their order")
        }
    }
}

@Suite("The group commit's queue, whatever happens")
struct BatchMachinePropertyTests {
    @Test("Each request is in exactly one batch, and no batch breaks a rule", arguments: 1...40)
    func batches(seed: UInt64) {
        var driver = BatchDriver(seed: seed)
        for _ in 0..<200 {
            if driver.isLed && driver.generator.chance(35) { driver.commit() } else { driver.submit() }
        }
        // Liveness: as many commits as there are requests are enough, and then the machine is idle.
        var commits = 0
        while driver.isLed {
            driver.commit()
            commits += 1
        }
        #expect(commits <= driver.submitted)
        driver.checkEnd()
        driver.submit()
        #expect(driver.isLed, "an idle machine leads again")
    }

    @Test("A thousand requests of one key go one by one, in order")
    func oneKey() {
        var machine = BatchMachine<BatchRequest>(maximumCount: 500, maximumBytes: 1 << 20)
        for number in 0..<1000 { _ = machine.submit(BatchRequest(number, key: "k")) }
        for number in 1..<1000 {
            guard case .handOver(let batch) = machine.committed() else {
                Issue.record("the lead is lost with \(machine.pendingCount) requests pending")
                return
            }
            if batch.map(\.number) != [number] { Issue.record("\(batch) instead of \(number)") }
        }
        guard case .none = machine.committed() else {
            Issue.record("something is left over")
            return
        }
    }
}
