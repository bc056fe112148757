// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Moments and durations as people and programs read them.
enum TimeText {
    /// `2026-11-20T10:00:00Z`.
    static func instant(_ date: Date) -> String { date.formatted(.iso8601) }

    /// `2026-11-20T10:00:00.123Z`.
    static func preciseInstant(_ date: Date) -> String {
        // The style cuts, and a date is a binary fraction that may lie a hair below its millisecond.
        date.addingTimeInterval(0.0001).formatted(
            Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        )
    }

    /// `3 s ago`. The database's clock and ours may differ, so that something has happened "in the future".
    static func ago(_ date: Date, now: Date) -> String { self.duration(max(0, now.timeIntervalSince(date))) + " ago" }

    /// `2026-11-20T10:00:00Z (3 s ago)`.
    static func instantAndAge(_ date: Date, now: Date) -> String {
        let isAhead = date.timeIntervalSince(now) >= 1
        let age = isAhead ? "in " + self.duration(date.timeIntervalSince(now)) : self.ago(date, now: now)
        return "\(self.instant(date)) (\(age))"
    }

    /// The largest unit that leaves at least one or two of it: `85 ms`, `0.4 s`, `59 s`, `12 min`, `30 h`, `3 d`.
    static func duration(_ seconds: Double) -> String {
        let magnitude = abs(seconds)
        let sign = seconds < 0 ? "-" : ""
        switch magnitude {
        case ..<0.0995: return "\(sign)\(Int((magnitude * 1000).rounded())) ms"
        case ..<9.95:
            let tenths = Int((magnitude * 10).rounded())
            return "\(sign)\(tenths / 10).\(tenths % 10) s"
        case ..<120: return "\(sign)\(Int(max(10, magnitude))) s"
        case ..<7200: return "\(sign)\(Int(magnitude / 60)) min"
        case ..<172_800: return "\(sign)\(Int(magnitude / 3600)) h"
        case ..<1e15: return "\(sign)\(Int(magnitude / 86_400)) d"
        default: return "\(sign)∞"
        }
    }

    static func duration(_ duration: Duration) -> String { self.duration(duration.inSeconds) }
}

extension Duration {
    var inSeconds: Double { self / .seconds(1) }
}
