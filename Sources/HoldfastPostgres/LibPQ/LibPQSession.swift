// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Owns a `PGconn`. Not `Sendable`: it is made, used and freed on its connection's thread.
final class LibPQSession {
    let pointer: OpaquePointer
    private var isFinished = false
    let notices: NoticeSink
    var statements: StatementCache
    let preparesStatements: Bool

    /// Takes over a connection that is established.
    init(adopting pointer: OpaquePointer, notices: NoticeSink, configuration: PostgresConfiguration) {
        self.pointer = pointer
        self.notices = notices
        statements = StatementCache(limit: configuration.preparedStatementLimit)
        preparesStatements = configuration.preparesStatements
    }

    deinit {
        finish()
    }

    /// Says goodbye to the server and frees the connection, which must not be used any more.
    func finish() {
        guard !isFinished else { return }
        isFinished = true
        PQfinish(pointer)
    }

    var socket: Int32 { PQsocket(pointer) }
    var isBroken: Bool { PQstatus(pointer) == CONNECTION_BAD }
    var isInTransaction: Bool { PQtransactionStatus(pointer) != PQTRANS_IDLE }

    /// Reads what has arrived. Throws when the server has closed the connection.
    func consumeInput() throws(PostgresError) {
        let alive = PQconsumeInput(pointer) == 1
        guard alive, !isBroken else { throw connectionLost() }
    }

    /// Hands over the notifications that have been read.
    func takeNotifications(_ deliver: (_ channel: String, _ payload: String) -> Void) {
        while let notification = PQnotifies(pointer) {
            deliver(String(cString: notification.pointee.relname), String(cString: notification.pointee.extra))
            PQfreemem(notification)
        }
    }

    /// The next result, or `nil` after the last one of a command.
    func nextResult() throws(PostgresError) -> OpaquePointer? {
        while PQisBusy(pointer) == 1 {
            try exchange()
        }
        return PQgetResult(pointer)
    }

    /// Sends what is pending and reads what has arrived, waiting for either.
    ///
    /// Reading while sending is what keeps a large pipeline from a deadlock in which both sides wait for a reader.
    private func exchange() throws(PostgresError) {
        // A failed flush is no verdict yet: the server's reason for closing may be waiting to be read.
        let unsent = PQflush(pointer) == 1
        var descriptor = pollfd(fd: socket, events: Int16(POLLIN) | (unsent ? Int16(POLLOUT) : 0), revents: 0)
        guard descriptor.fd >= 0 else { throw connectionLost() }
        while poll(&descriptor, 1, -1) < 0 {
            guard errno == EINTR else { throw connectionLost() }
        }
        if descriptor.revents & ~Int16(POLLOUT) != 0 {
            // On failure libpq still turns what it holds into a result, so the caller goes on until it sees the status.
            _ = PQconsumeInput(pointer)
        }
    }

    /// The loss of this connection, with the server's reason if it gave one.
    func connectionLost() -> PostgresError {
        if var reason = notices.lastFatal {
            reason.code = .connectionLost
            return reason
        }
        let message = trimmed(PQerrorMessage(pointer))
        return PostgresError(.connectionLost, message.isEmpty ? "the server closed the connection" : message)
    }
}

/// What an error result says.
func serverError(in result: OpaquePointer) -> (error: PostgresError, isFatal: Bool) {
    func field(_ name: Int32) -> String? { PQresultErrorField(result, name).map { String(cString: $0) } }
    func code(_ letter: Unicode.Scalar) -> Int32 { Int32(letter.value) }
    // The letters are the PG_DIAG_ macros, which Swift cannot import as characters.
    let message = field(code("M")) ?? trimmed(PQresultErrorMessage(result))
    var error = PostgresError(.server, message, sqlState: field(code("C")))
    error.detail = field(code("D"))
    error.hint = field(code("H"))
    error.constraint = field(code("n"))
    let severity = field(code("V"))
    return (error, severity == "FATAL" || severity == "PANIC")
}

func trimmed(_ text: UnsafePointer<CChar>?) -> String {
    guard let text else { return "" }
    let lines = String(cString: text).split(whereSeparator: \.isNewline)
    return lines.map { line in
        String(line.drop(while: \.isWhitespace))
    }.joined(separator: "; ")
}
