// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite struct LoginReportTests {
    @Test func theCodeIsTakenOutOfTheMessage() {
        let report = LoginReport(
            "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  28P01: password authentication failed\n"
                + "LOCATION:  auth_failed, auth.c:335\n"
        )
        #expect(report.sqlState == "28P01")
        #expect(
            report.message
                == "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  password authentication failed"
        )
    }

    @Test func translatedWordsDoNotMatter() {
        #expect(LoginReport("FATALE:  3D000: il database non esiste").sqlState == "3D000")
    }

    @Test(arguments: ["", "connection refused", "FATAL:  no code", "x:  28P0", "x:  28P01", "x:  28p01: lower"])
    func withoutACode(_ text: String) {
        let report = LoginReport(text)
        #expect(report.sqlState == nil)
        #expect(report.message == text)
    }

    @Test func severalLinesBecomeOne() {
        #expect(LoginReport("first\n\tIs the server running?\n").message == "first; Is the server running?")
    }
}
