// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Testing

@testable import HoldfastPostgres

@Suite struct PostgresErrorTests {
    static let transient: [(PostgresError.Code, String?, Bool)] = [
        (.connectionLost, nil, true),
        (.connectionLost, "57P01", true),
        (.connectionFailed, nil, true),
        (.connectionFailed, "57P03", true),
        (.connectionFailed, "53300", true),
        (.connectionFailed, "28P01", false),
        (.connectionFailed, "28000", false),
        (.connectionFailed, "3D000", false),
        (.poolTimeout, nil, true),
        (.poolClosed, nil, false),
        (.cancelled, nil, false),
        (.cancelled, "57014", false),
        (.decoding, nil, false),
        (.unencodable, nil, false),
        (.invalidConfiguration, nil, false),
        (.server, nil, false),
        (.server, "08006", true),
        (.server, "53100", true),
        (.server, "53200", true),
        (.server, "57P01", true),
        (.server, "57P05", true),
        (.server, "57014", false),
        (.server, "25P03", true),
        (.server, "25P02", false),
        (.server, "40P01", true),
        (.server, "40001", false),
        (.server, "55P03", false),
        (.server, "23505", false),
        (.server, "42P01", false),
        (.server, "22012", false),
    ]

    @Test(arguments: transient)
    func transience(_ code: PostgresError.Code, _ sqlState: String?, _ isTransient: Bool) {
        #expect(PostgresError(code, "", sqlState: sqlState).isTransient == isTransient)
    }

    @Test func aTransactionIsAsTransientAsItsCause() {
        let lost = PostgresError(.connectionLost, "gone")
        let duplicate = PostgresError(.server, "duplicate", sqlState: "23505")
        #expect(PostgresTransactionError(beginError: lost).isTransient)
        #expect(PostgresTransactionError(bodyError: lost).isTransient)
        #expect(PostgresTransactionError(commitError: lost).isTransient)
        #expect(!PostgresTransactionError(bodyError: duplicate, rollbackError: lost).isTransient)
        #expect(!PostgresTransactionError(bodyError: CancellationError()).isTransient)
        #expect(!PostgresTransactionError(commitError: duplicate).isTransient)
    }

    @Test func theDescriptionTellsEverything() {
        var error = PostgresError(.server, "duplicate key", sqlState: "23505")
        error.detail = "Key (id)=(1) already exists."
        error.constraint = "t_pkey"
        error.queryIndex = 3
        error.sql = "insert into t values (1)"
        #expect(
            "\(error)" == "server 23505: duplicate key; detail: Key (id)=(1) already exists.; constraint: t_pkey; "
                + "query 3 of a pipeline; in: insert into t values (1)"
        )
    }

    @Test func longSQLIsCut() {
        #expect(PostgresError.excerpt(String(repeating: "x", count: 500)).count == 201)
        #expect(PostgresError.excerpt("select 1") == "select 1")
    }
}
