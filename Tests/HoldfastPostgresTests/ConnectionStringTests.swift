// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite struct ConnectionStringTests {
    @Test func oneHostIsLeftToLibpq() throws {
        for text in ["", "host=a port=1", "postgres://u@a/d", "host=/run/postgresql"] {
            #expect(try ConnectionString(text).attempts == [.init(overrides: [:])], "\(text)")
        }
    }

    @Test func everyHostGetsAnAttempt() throws {
        let url = try ConnectionString("postgres://u@a:1,b:2/d?target_session_attrs=read-write")
        #expect(url.attempts.map(\.overrides) == [["host": "a", "port": "1"], ["host": "b", "port": "2"]])
        let onePort = try ConnectionString("host=a,b hostaddr=127.0.0.1,127.0.0.2 port=5")
        #expect(
            onePort.attempts.map(\.overrides)
                == [["host": "a", "hostaddr": "127.0.0.1"], ["host": "b", "hostaddr": "127.0.0.2"]]
        )
    }

    @Test func whatNeedsAllHostsAtOnceIsNotSplit() throws {
        let text = "host=a,b target_session_attrs=prefer-standby"
        #expect(try ConnectionString(text).attempts.count == 1)
        // libpq has the words for lists that do not fit together.
        #expect(try ConnectionString("host=a,b,c port=1,2").attempts.count == 1)
    }

    @Test func theTimeoutIsTakenAsLibpqTakesIt() throws {
        for (text, seconds) in [("", nil), ("0", nil), ("-1", nil), ("1", 2), ("2", 2), ("30", 30)] as [(String, Int?)]
        {
            let string = try ConnectionString("host=a,b connect_timeout='\(text)'")
            #expect(string.connectTimeout == seconds.map { .seconds($0) }, "\(text)")
        }
    }

    @Test func passwordsAreRedacted() throws {
        let string = try ConnectionString("postgres://user:s3cr%40t@host/db?sslpassword=other")
        #expect(string.redact("no s3cr@t and no other is left") == "no *** and no *** is left")
    }

    @Test func aPasswordThatIsAlsoAName() throws {
        let string = try ConnectionString("postgres://postgres:postgres@host/db")
        #expect(string.redact("failed for user \"postgres\"") == "failed for user \"postgres\"")
    }

    @Test(arguments: [
        "postgres://user:sec%zzret@host/db",
        "host=h password=sec ret",
        "host=h password='secret never closed",
        "postgres://user:sec@ret@host/db",
        "postgres://user:secret@[::1/db",
        "password=secret nonsense=1",
        "host=h password=sec\0ret",
    ])
    func aStringThatCannotBeParsedIsNotQuoted(_ text: String) throws {
        let error = try #require(#expect(throws: PostgresError.self) { try ConnectionString(text) })
        #expect(error.code == .invalidConfiguration)
        #expect(!error.message.contains("sec") && !error.message.contains("ret"), "\(error.message)")
    }

    @Test func theConfigurationDoesNotPrintItsPassword() {
        let configuration = PostgresConfiguration("postgres://u:s3cret@h/d")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("s3cret"))
        }
    }
}
