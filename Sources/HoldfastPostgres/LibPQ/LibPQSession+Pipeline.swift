// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

/// What came of a job.
struct JobOutcome<Value> {
    var result: Result<Value, PostgresError>
    /// Set when the connection is of no further use.
    var loss: PostgresError?
}

/// What is awaited from the server, in order.
private enum Expectation {
    case deallocation(String)
    case preparation(String, query: Int)
    case rows(query: Int, statement: String?)
    case sync
}

extension LibPQSession {
    /// Sends all queries at once with one sync: one round trip and, unless they say otherwise, one transaction.
    func run(_ queries: [EncodedQuery]) -> JobOutcome<[PostgresResult]> {
        guard !queries.isEmpty else { return JobOutcome(result: .success([])) }
        do throws(PostgresError) {
            guard PQenterPipelineMode(pointer) == 1 else { throw connectionLost() }
            let expected = try send(queries)
            let result = try receive(expected, queries: queries)
            guard PQexitPipelineMode(pointer) == 1 else { throw connectionLost() }
            return JobOutcome(result: result)
        } catch {
            return JobOutcome(result: .failure(error), loss: error)
        }
    }

    private func send(_ queries: [EncodedQuery]) throws(PostgresError) -> [Expectation] {
        var expected: [Expectation] = []
        expected.reserveCapacity(queries.count + 1)
        // In a sync of its own, so that it cannot fail the caller's queries; never inside a transaction, for the same reason.
        if !isInTransaction {
            let discarded = statements.takeDiscarded()
            for name in discarded {
                try check(PQsendQueryParams(pointer, "deallocate \(name)", 0, nil, nil, nil, nil, 0))
                expected.append(.deallocation(name))
            }
            if !discarded.isEmpty { try sendSync(&expected) }
        }
        for (index, query) in queries.enumerated() {
            guard preparesStatements else {
                try send(query)
                expected.append(.rows(query: index, statement: nil))
                continue
            }
            switch statements.plan(StatementCache.Key(sql: query.sql, types: query.types)) {
            case .run(let name):
                try send(query, statement: name)
                expected.append(.rows(query: index, statement: name))
            case .prepareAndRun(let name):
                try check(PQsendPrepare(pointer, name, query.sql, Int32(query.types.count), query.types))
                expected.append(.preparation(name, query: index))
                try send(query, statement: name)
                expected.append(.rows(query: index, statement: name))
            }
        }
        try sendSync(&expected)
        return expected
    }

    private func sendSync(_ expected: inout [Expectation]) throws(PostgresError) {
        try check(PQpipelineSync(pointer))
        expected.append(.sync)
    }

    private func send(_ query: EncodedQuery, statement: String? = nil) throws(PostgresError) {
        let count = Int32(query.ranges.count)
        let formats = [Int32](repeating: 1, count: query.ranges.count)
        let lengths = query.ranges.map { Int32($0?.count ?? 0) }
        let status = query.bytes.withUnsafeBytes { bytes in
            // libpq reads NULL where the pointer is nil, so an empty value needs an address too.
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            return withUnsafePointer(to: CChar(0)) { empty in
                let values = query.ranges.map { range in
                    range.map { range in range.isEmpty ? empty : base.map { $0 + range.lowerBound } ?? empty }
                }
                if let statement {
                    return PQsendQueryPrepared(pointer, statement, count, values, lengths, formats, 0)
                }
                return PQsendQueryParams(pointer, query.sql, count, query.types, values, lengths, formats, 0)
            }
        }
        try check(status)
    }

    private func check(_ status: Int32) throws(PostgresError) {
        guard status == 1 else { throw connectionLost() }
    }

    /// Reads until the last sync. Throws only if the connection is lost.
    private func receive(
        _ expected: [Expectation],
        queries: [EncodedQuery]
    ) throws(PostgresError) -> Result<[PostgresResult], PostgresError> {
        var results: [PostgresResult] = []
        results.reserveCapacity(queries.count)
        var firstError: PostgresError?
        for expectation in expected {
            switch expectation {
            case .sync:
                guard let sync = try nextResult() else { throw connectionLost() }
                defer { PQclear(sync) }
                guard PQresultStatus(sync) == PGRES_PIPELINE_SYNC else {
                    throw firstError.map(lost(because:)) ?? connectionLost()
                }
            case .deallocation(let name):
                switch try reply(after: firstError) {
                case .aborted: statements.restoreDiscarded(name)
                case .rows, .failed: break
                }
            case .preparation(let name, let query):
                switch try reply(after: firstError) {
                case .rows: break
                case .aborted: statements.forget(name, existsOnServer: false)
                case .failed(let error):
                    statements.forget(name, existsOnServer: false)
                    firstError = firstError ?? annotated(error, query, queries)
                }
            case .rows(let query, let statement):
                switch try reply(after: firstError) {
                case .rows(let result): results.append(PostgresResult(adopting: result))
                case .aborted: break
                case .failed(let error):
                    if let statement { reconsider(statement, after: error) }
                    firstError = firstError ?? annotated(error, query, queries)
                }
            }
        }
        if let firstError { return .failure(firstError) }
        return .success(results)
    }

    private enum Reply {
        case rows(OpaquePointer)
        case failed(PostgresError)
        case aborted
    }

    /// The answer to one message, up to the `nil` that ends it.
    private func reply(after earlier: PostgresError?) throws(PostgresError) -> Reply {
        guard let result = try nextResult() else { throw earlier.map(lost(because:)) ?? connectionLost() }
        let reply: Reply
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            reply = .rows(result)
        case PGRES_PIPELINE_ABORTED:
            PQclear(result)
            reply = .aborted
        case PGRES_FATAL_ERROR:
            let (error, isFatal) = serverError(in: result)
            PQclear(result)
            if isFatal || isBroken { throw lost(because: earlier ?? error) }
            reply = .failed(error)
        default:
            let status = String(cString: PQresStatus(PQresultStatus(result)))
            PQclear(result)
            throw PostgresError(.connectionLost, "the statement's kind of answer (\(status)) is not supported")
        }
        do throws(PostgresError) {
            while let extra = try nextResult() {
                PQclear(extra)
                if isBroken { throw connectionLost() }
            }
        } catch {
            if case .rows(let result) = reply { PQclear(result) }
            throw error
        }
        return reply
    }

    private func lost(because error: PostgresError) -> PostgresError {
        var error = error
        error.code = .connectionLost
        return error
    }

    private func annotated(_ error: PostgresError, _ query: Int, _ queries: [EncodedQuery]) -> PostgresError {
        var error = error
        error.sql = PostgresError.excerpt(queries[query].sql)
        error.queryIndex = query
        return error
    }

    /// A statement whose plan no longer fits its tables, or which somebody else deallocated, is prepared anew next time.
    private func reconsider(_ statement: String, after error: PostgresError) {
        switch error.sqlState {
        case "0A000": statements.forget(statement, existsOnServer: true)
        case "26000": statements.forget(statement, existsOnServer: false)
        default: break
        }
    }

    /// Runs several statements given as one text.
    func run(script: String) -> JobOutcome<Void> {
        var firstError: PostgresError?
        do throws(PostgresError) {
            try check(PQsendQuery(pointer, script))
            while let result = try nextResult() {
                defer { PQclear(result) }
                switch PQresultStatus(result) {
                case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                    break
                case PGRES_FATAL_ERROR:
                    var (error, isFatal) = serverError(in: result)
                    error.sql = PostgresError.excerpt(script)
                    firstError = firstError ?? error
                    if isFatal || isBroken { throw lost(because: firstError ?? error) }
                default:
                    throw PostgresError(.connectionLost, "COPY is not supported in a script")
                }
            }
            if isBroken { throw firstError.map(lost(because:)) ?? connectionLost() }
        } catch {
            return JobOutcome(result: .failure(error), loss: error)
        }
        return JobOutcome(result: firstError.map(Result.failure) ?? .success(()))
    }
}
