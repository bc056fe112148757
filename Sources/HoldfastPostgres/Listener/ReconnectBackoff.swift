// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How long to wait before the next attempt: doubling up to a limit, each wait shortened at random by up to a half so
/// that many clients of one server do not come back at the same moment.
struct ReconnectBackoff: Sendable {
    let first: Duration
    let limit: Duration
    private var current: Duration

    init(first: Duration = .milliseconds(100), limit: Duration = .seconds(2)) {
        self.first = first
        self.limit = limit
        current = first
    }

    mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        defer { current = min(current * 2, limit) }
        return current * Double.random(in: 0.5...1, using: &generator)
    }

    /// After a success.
    mutating func reset() {
        current = first
    }
}
