// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite struct StatementCacheTests {
    private func key(_ sql: String, _ types: [UInt32] = []) -> StatementCache.Key {
        StatementCache.Key(sql: sql, types: types)
    }

    @Test func aStatementIsPreparedOnce() {
        var cache = StatementCache(limit: 4)
        #expect(cache.plan(key("a")) == .prepareAndRun(name: "holdfast_1"))
        #expect(cache.plan(key("a")) == .run(name: "holdfast_1"))
    }

    @Test func otherParameterTypesAreAnotherStatement() {
        var cache = StatementCache(limit: 4)
        #expect(cache.plan(key("a", [25])) == .prepareAndRun(name: "holdfast_1"))
        #expect(cache.plan(key("a", [23])) == .prepareAndRun(name: "holdfast_2"))
    }

    @Test func theLeastRecentlyUsedGoesAndIsDeallocated() {
        var cache = StatementCache(limit: 2)
        _ = cache.plan(key("a"))
        _ = cache.plan(key("b"))
        _ = cache.plan(key("a"))
        _ = cache.plan(key("c"))
        #expect(cache.takeDiscarded() == ["holdfast_2"])
        #expect(cache.takeDiscarded().isEmpty)
        #expect(cache.plan(key("a")) == .run(name: "holdfast_1"))
        #expect(cache.plan(key("b")) == .prepareAndRun(name: "holdfast_4"))
        #expect(cache.count == 2)
    }

    @Test func whatTheServerDoesNotHaveIsForgottenWithoutDeallocation() {
        var cache = StatementCache(limit: 2)
        _ = cache.plan(key("a"))
        cache.forget("holdfast_1", existsOnServer: false)
        #expect(cache.takeDiscarded().isEmpty)
        #expect(cache.plan(key("a")) == .prepareAndRun(name: "holdfast_2"))
    }

    @Test func aStatementEvictedBeforeItsPreparationFailedIsNotDeallocated() {
        var cache = StatementCache(limit: 1)
        _ = cache.plan(key("a"))
        _ = cache.plan(key("b"))
        cache.forget("holdfast_1", existsOnServer: false)
        #expect(cache.takeDiscarded().isEmpty)
    }

    @Test func whatCouldNotBeDeallocatedIsKept() {
        var cache = StatementCache(limit: 2)
        cache.restoreDiscarded("holdfast_9")
        #expect(cache.takeDiscarded() == ["holdfast_9"])
    }
}
