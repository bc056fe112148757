// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A moment on the command line: `2026-11-20`, `2026-11-20T10:00:00Z`, or how long ago: `10m`, `2h`, `3d`.
struct Moment: ExpressibleByArgument, Equatable {
    let date: Date

    init?(argument: String) { self.init(argument, now: Date()) }

    init?(_ text: String, now: Date) {
        guard let date = Self.ago(text, now) ?? Self.absolute(text) else { return nil }
        self.date = date
    }

    private static func ago(_ text: String, _ now: Date) -> Date? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let last = text.last, let unit = units[last], text.utf8.count <= 10,
            text.dropLast().utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains),
            let count = Double(text.dropLast())
        else { return nil }
        return now.addingTimeInterval(-count * unit)
    }

    /// Without an offset the time is UTC.
    private static func absolute(_ text: String) -> Date? {
        // The parser takes 25:61 for the next day, and 30 February for 2 March.
        let shape =
            #/
            (\d{4}-\d\d-\d\d)
            (?:
                [Tt\x20] ( [01]\d:[0-5]\d | 2[0-3]:[0-5]\d ) (:[0-5]\d)? (?: \.(\d{1,9}) )?
                (?: [Zz] | ( [+-][01]\d | [+-]2[0-3] ) :? ([0-5]\d) )?
            )?
            /#
        guard let match = text.wholeMatch(of: shape) else { return nil }
        let (_, day, time, seconds, fraction, hours, minutes) = match.output
        guard seconds != nil || fraction == nil else { return nil }
        let offset = hours.map { "\($0):\(minutes ?? "00")" } ?? "Z"
        let whole = "\(day)T\(time ?? "00:00")\(seconds ?? ":00")\(offset)"
        guard let date = try? Date(whole, strategy: .iso8601), Self.exists(day) else { return nil }
        return date.addingTimeInterval(fraction.flatMap { Double("0.\($0)") } ?? 0)
    }

    private static func exists(_ day: Substring) -> Bool {
        guard let date = try? Date("\(day)T00:00:00Z", strategy: .iso8601) else { return false }
        return date.formatted(.iso8601).hasPrefix(day)
    }
}
