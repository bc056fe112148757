// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import Holdfast
import Testing

@testable import HoldfastTool

@Suite("Moments, durations and documents") struct TextTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    @Test(
        "durations",
        arguments: [
            (0, "0 ms"), (0.0123, "12 ms"), (0.0996, "0.1 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.9, "59 s"),
            (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d"), (-3.04, "-3.0 s"),
        ]
    )
    func durations(_ seconds: Double, _ text: String) { #expect(TimeText.duration(seconds) == text) }

    @Test("moments and their ages")
    func moments() {
        #expect(TimeText.instant(self.now) == "2027-01-15T08:00:00Z")
        #expect(TimeText.ago(self.now.addingTimeInterval(-42), now: self.now) == "42 s ago")
        #expect(TimeText.ago(self.now.addingTimeInterval(5), now: self.now) == "0 ms ago")
        let later = self.now.addingTimeInterval(90)
        #expect(TimeText.instantAndAge(later, now: self.now) == "2027-01-15T08:01:30Z (in 90 s)")
    }

    @Test("no millisecond is lost")
    func milliseconds() throws {
        for millisecond in 0..<1000 {
            let date = Date(timeIntervalSince1970: Double(1_763_719_200_000 + millisecond) / 1000)
            let digits = String(String(1000 + millisecond).dropFirst())
            try #require(TimeText.preciseInstant(date) == "2025-11-21T10:00:00.\(digits)Z")
        }
    }

    @Test(
        "moments on the command line",
        arguments: [
            ("45s", -45), ("10m", -600), ("2h", -7200), ("3d", -259_200), ("1w", -604_800), ("0s", 0),
            ("2027-01-15", -28800), ("2027-01-15T07:59:00Z", -60), ("2027-01-15 07:59", -60),
            ("2027-01-15T08:59:00+01:00", -60), ("2027-01-15T06:29:00-0130", -60), ("2027-01-15T08:00:00.250Z", 0.25),
        ]
    )
    func arguments(_ text: String, _ offset: Double) {
        #expect(Moment(text, now: self.now)?.date == self.now.addingTimeInterval(offset))
    }

    @Test(
        "no moments",
        arguments: [
            "", " ", "yesterday", "10", "m", "-10m", "1.5h", "10 m", "99999999999d", "2027-02-30", "2027-13-01",
            "2027-01-15T25:00:00Z", "2027-01-15T08:00:00Zz", "27-01-15", "2027-01-15T08:61:00Z",
        ]
    )
    func noMoments(_ text: String) { #expect(Moment(text, now: self.now) == nil) }

    @Test("a document has sorted keys, every value, and payloads as they were stored")
    func document() throws {
        let payload = try PayloadText(
            parsing: #"{"z": 1.0, "a": [12345678901234567890123, "\"},{\\"], "e": {}, "f": []}"#
        )
        let document = JSONText.object([
            "b": .array([.null, .bool(true), .integer(-1), .number(0.25), .number(2)]),
            "a": .string("\"\\\n\u{1}\u{9B}ü"),
            "c": .payload(payload),
            "d": .object([:]),
        ])
        #expect(
            document.rendered() == #"""
                {
                  "a": "\"\\\n\u0001\u009bü",
                  "b": [
                    null,
                    true,
                    -1,
                    0.25,
                    2
                  ],
                  "c": {
                    "z": 1.0,
                    "a": [
                      12345678901234567890123,
                      "\"},{\\"
                    ],
                    "e": {},
                    "f": []
                  },
                  "d": {}
                }
                """#
        )
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(document.rendered().utf8)) }
    }

    @Test("payloads of other formats are shown as they are stored")
    func foreignPayloads() {
        let payload = Payload("gASVBQ==\u{1B}", serialization: "py_pickle")
        #expect(payload?.preview() == "gASVBQ==\u{1B}")
        #expect(payload?.lines == ["gASVBQ==\\u{1b}"])
        #expect(payload?.json.rendered() == #""gASVBQ==\u001b""#)
        #expect(Payload("{", serialization: "portable_json")?.json.rendered() == #""{""#)
        #expect(Payload(nil, serialization: "portable_json") == nil)
    }

    @Test(
        "passwords in complaints",
        arguments: [
            ("Unexpected argument 'postgresql://u:s3cret@h/db'", "Unexpected argument 'postgresql://u:***@h/db'"),
            ("'postgres://u:p@ss@h/db'", "'postgres://u:***@h/db'"),
            ("host=h password='s3 cret' user=u", "host=h password=*** user=u"),
            ("postgresql://h/db?password=s3cret&user=u", "postgresql://h/db?password=***&user=u"),
            ("nothing@all", "nothing@all"),
        ]
    )
    func passwords(_ text: String, _ redacted: String) { #expect(Redaction.withoutPasswords(text) == redacted) }
}
