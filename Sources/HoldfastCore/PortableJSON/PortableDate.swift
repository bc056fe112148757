// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Dates as RFC 3339 text, in the proleptic Gregorian calendar.
enum PortableDate {
    /// `2025-06-15T10:30:00.000Z`; nil outside the years 0 to 9999, which have no such text.
    ///
    /// Rounds to the nearest millisecond, unlike Python, which cuts: dates are binary fractions, so that cutting
    /// would lose a millisecond each time a date is read and written again.
    static func text(of date: Date) -> String? {
        let sinceReference = (date.timeIntervalSinceReferenceDate * 1000).rounded()
        guard sinceReference.isFinite, abs(sinceReference) < 1e15 else { return nil }
        let milliseconds = Int64(sinceReference) + millisecondsToReferenceDate
        let (day, time) = floorDivide(milliseconds, by: 86_400_000)
        let (year, month, dayOfMonth) = civil(fromDay: day)
        guard (0...9999).contains(year) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24)
        bytes.append(digits: year, width: 4)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(digits: month, width: 2)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(digits: dayOfMonth, width: 2)
        bytes.append(UInt8(ascii: "T"))
        bytes.append(digits: time / 3_600_000, width: 2)
        bytes.append([UInt8].colon)
        bytes.append(digits: time / 60_000 % 60, width: 2)
        bytes.append([UInt8].colon)
        bytes.append(digits: time / 1000 % 60, width: 2)
        bytes.append(UInt8(ascii: "."))
        bytes.append(digits: time % 1000, width: 3)
        bytes.append(UInt8(ascii: "Z"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Any offset or none (UTC), any count of fraction digits, `T`, `t` or a blank between date and time, a date
    /// alone (midnight UTC), a leap second.
    static func date(from text: String) -> Date? {
        var scanner = Scanner(text)
        guard
            let year = scanner.number(4), scanner.skip("-"),
            let month = scanner.number(2, in: 1...12), scanner.skip("-"),
            let day = scanner.number(2, in: 1...dayCount(ofMonth: month, year: year))
        else { return nil }
        var seconds = Int64(self.day(year: year, month: month, day: day)) * 86_400 - millisecondsToReferenceDate / 1000
        if scanner.isAtEnd { return Date(timeIntervalSinceReferenceDate: Double(seconds)) }
        guard
            scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
            let hour = scanner.number(2, in: 0...23), scanner.skip(":"),
            let minute = scanner.number(2, in: 0...59), scanner.skip(":"),
            let second = scanner.number(2, in: 0...60),
            let nanoseconds = scanner.fraction(),
            let offset = scanner.offset(),
            scanner.isAtEnd
        else { return nil }
        seconds += Int64(hour * 3600 + minute * 60 + second - offset)
        return Date(timeIntervalSinceReferenceDate: Double(seconds) + Double(nanoseconds) / 1e9)
    }

    /// From 1970 to 2001.
    private static let millisecondsToReferenceDate: Int64 = 978_307_200_000

    private static func floorDivide(_ value: Int64, by divisor: Int64) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (Int(quotient) - 1, Int(remainder + divisor)) : (Int(quotient), Int(remainder))
    }

    // The calendar repeats every 400 years, which have 146 097 days. Years are counted from March here, so that the
    // leap day is the last of its year and the lengths of the months before it follow (153 * month + 2) / 5.

    private static func civil(fromDay day: Int) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = floorDivide(Int64(day + 719_468), by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    private static func day(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivide(Int64(year), by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func dayCount(ofMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

private struct Scanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func digit() -> Int? {
        guard position < bytes.count, bytes[position] &- UInt8(ascii: "0") <= 9 else { return nil }
        defer { position += 1 }
        return Int(bytes[position] - UInt8(ascii: "0"))
    }

    mutating func number(_ width: Int, in range: ClosedRange<Int> = 0...9999) -> Int? {
        var value = 0
        for _ in 0..<width {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return range.contains(value) ? value : nil
    }

    /// Nanoseconds; zero without a fraction. Further digits are below what a date can hold.
    mutating func fraction() -> Int? {
        guard skip(".") else { return 0 }
        guard var value = digit() else { return nil }
        var width = 1
        while let digit = digit() {
            if width < 9 { value = value * 10 + digit }
            width += 1
        }
        while width < 9 {
            value *= 10
            width += 1
        }
        return value
    }

    /// Seconds east of UTC; zero when there is none. Postgres leaves out the minutes when they are zero.
    mutating func offset() -> Int? {
        if isAtEnd || skip("Z") || skip("z") { return 0 }
        let sign = skip("+") ? 1 : skip("-") ? -1 : 0
        guard sign != 0, let hours = number(2, in: 0...23) else { return nil }
        if isAtEnd { return sign * hours * 3600 }
        _ = skip(":")
        guard let minutes = number(2, in: 0...59) else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}
