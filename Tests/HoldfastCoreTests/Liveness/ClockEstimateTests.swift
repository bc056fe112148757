// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("The estimate of another machine's clock")
struct ClockEstimateTests {
    private static let start = ContinuousClock.now
    private static func at(_ milliseconds: Int) -> ClockEstimate.Instant { self.start + .milliseconds(milliseconds) }

    /// Question, answer's content, and arrival, in milliseconds.
    private static func answer(_ estimate: inout ClockEstimate, _ sent: Int, _ time: Int, _ received: Int) -> Duration {
        estimate.answered(.milliseconds(time), sentAt: self.at(sent), receivedAt: self.at(received))
    }

    @Test("is unknown at first, and then never ahead")
    func first() {
        var estimate = ClockEstimate(origin: Self.start)
        #expect(estimate.time(at: Self.at(5)) == nil)
        #expect(Self.answer(&estimate, 100, 9000, 140) == .zero)
        // It may have been 9000 already at 100, but was not later than at 140.
        #expect(estimate.time(at: Self.at(140)) == .milliseconds(9000))
        #expect(estimate.time(at: Self.at(1140)) == .milliseconds(10_000))
        #expect(estimate.time(at: Self.at(40)) == .milliseconds(8900))
    }

    @Test("gets better with a fast answer, and no worse with a slow one")
    func bounds() {
        var estimate = ClockEstimate(origin: Self.start)
        // The other clock is 10,000 ms ahead all the time.
        #expect(Self.answer(&estimate, 0, 10_010, 50) == .zero)
        #expect(estimate.time(at: Self.at(1000)) == .milliseconds(10_960))
        #expect(Self.answer(&estimate, 1000, 11_001, 1002) == .zero)
        #expect(estimate.time(at: Self.at(2000)) == .milliseconds(11_999))
        #expect(Self.answer(&estimate, 2000, 12_000, 2900) == .zero)
        #expect(estimate.time(at: Self.at(3000)) == .milliseconds(12_999))
    }

    @Test("begins anew when the other clock was set, and says by how much at least", arguments: [5000, -5000])
    func set(jump: Int) {
        var estimate = ClockEstimate(origin: Self.start)
        #expect(Self.answer(&estimate, 0, 10_000, 10) == .zero)
        let found = Self.answer(&estimate, 1000, 11_000 + jump, 1010)
        #expect(found == .milliseconds(jump > 0 ? jump - 10 : jump + 10))
        #expect(estimate.time(at: Self.at(1010)) == .milliseconds(11_000 + jump))
        #expect(Self.answer(&estimate, 2000, 12_000 + jump, 2010) == .zero)
    }

    @Test("knows how far it may be wrong: as far as its best answers were slow")
    func uncertainty() {
        var estimate = ClockEstimate(origin: Self.start)
        #expect(estimate.uncertainty == .zero, "nothing is estimated yet")
        _ = Self.answer(&estimate, 0, 10_300, 400)
        #expect(estimate.uncertainty == .milliseconds(400))
        _ = Self.answer(&estimate, 1000, 11_400, 1900)
        #expect(estimate.uncertainty == .milliseconds(400), "a slower answer takes nothing back")
        // It was 9.9 s to 10.3 s ahead, and so a clock set back by less than 400 ms contradicts no answer.
        #expect(Self.answer(&estimate, 2000, 11_950, 2040) == .zero)
        #expect(estimate.uncertainty == .milliseconds(40))
        #expect(Self.answer(&estimate, 3000, 12_850, 3040) == .milliseconds(-60))
        #expect(estimate.uncertainty == .milliseconds(40), "the bounds begin anew")
    }

    @Test("follows a clock that runs faster or slower", arguments: [1.001, 0.999])
    func drift(rate: Double) {
        var estimate = ClockEstimate(origin: Self.start)
        for second in 0..<1000 {
            let sent = second * 1000
            let truth = 50_000 + Int(Double(sent + 2) * rate)
            let jump = Self.answer(&estimate, sent, truth, sent + 5)
            #expect(abs(jump / .milliseconds(1)) <= 5)
            let error = (estimate.time(at: Self.at(sent + 2)) ?? .zero) - .milliseconds(truth)
            #expect(error <= .milliseconds(5) && error >= .milliseconds(-10))
        }
    }
}
