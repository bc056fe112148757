// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite("What a process may own")
struct TenureTests {
    private let now = ContinuousClock.now

    @Test("Nothing before it is a member, and nothing after its end")
    func shut() throws {
        var tenure = Tenure()
        #expect(!tenure.isOpen)
        let none = tenure.nextToken()
        #expect(none == nil)
        #expect(!tenure.mayBeginSteps(now: self.now))
        tenure.open(Incarnation(text: "00000000000000aa"))
        let drawn = tenure.nextToken()
        let token = try #require(drawn)
        #expect(token.hasPrefix("00000000000000aa-"))
        tenure.shut()
        #expect(!tenure.isOpen)
        let noneEither = tenure.nextToken()
        #expect(noneEither == nil)
        #expect(!tenure.isCurrent(token))
    }

    @Test("Only tokens of the present incarnation are current, and none comes twice")
    func currency() throws {
        var tenure = Tenure()
        tenure.open(Incarnation(text: "00000000000000aa"))
        let (first, second) = (tenure.nextToken(), tenure.nextToken())
        let old = try #require(first)
        #expect(tenure.isCurrent(old))
        #expect(second != old)
        tenure.open(Incarnation(text: "00000000000000ab"))
        #expect(!tenure.isCurrent(old))
        let third = tenure.nextToken()
        #expect(tenure.isCurrent(try #require(third)))
    }

    @Test("Steps begin before the moment of self-stop, also when nobody has noticed that it has passed")
    func steps() {
        var tenure = Tenure()
        tenure.open(Incarnation(text: "00000000000000aa"))
        tenure.renewed(selfStopAt: self.now + .seconds(7))
        #expect(tenure.mayBeginSteps(now: self.now + .milliseconds(6999)))
        #expect(!tenure.mayBeginSteps(now: self.now + .seconds(7)))
        #expect(tenure.isOpen)
        tenure.renewed(selfStopAt: nil)
        #expect(!tenure.mayBeginSteps(now: self.now))
    }
}
