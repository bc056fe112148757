// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite struct ListenerMachineTests {
    @Test func backoffDoublesUpToItsLimitAndStartsAgain() {
        var backoff = ReconnectBackoff(first: .milliseconds(100), limit: .seconds(1))
        var generator = SystemRandomNumberGenerator()
        for base in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next(using: &generator)
            #expect(wait >= .milliseconds(base) / 2 && wait <= .milliseconds(base))
        }
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(100))
    }

    @Test func oneReminderCoversManyDrops() {
        var overflow = ListenerOverflow()
        #expect(overflow.dropped(isReminder: false) == true)
        #expect(overflow.dropped(isReminder: false) == false)
        #expect(overflow.dropped(isReminder: false) == false)
    }

    @Test func aDroppedReminderIsRepeated() {
        var overflow = ListenerOverflow()
        _ = overflow.dropped(isReminder: false)
        #expect(overflow.dropped(isReminder: true) == true)
        #expect(overflow.dropped(isReminder: false) == false)
    }

    @Test func aReaderWhoCaughtUpIsRemindedAgain() {
        var overflow = ListenerOverflow()
        _ = overflow.dropped(isReminder: false)
        #expect(overflow.enqueued() == false)
        #expect(overflow.dropped(isReminder: false) == true)
    }
}
