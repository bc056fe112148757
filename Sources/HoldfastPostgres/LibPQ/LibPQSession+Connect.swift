// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ
import Logging

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

extension LibPQSession {
    /// Connects, blocking the calling thread until it succeeds, fails, times out, or `interrupt` becomes readable.
    static func connect(
        _ configuration: PostgresConfiguration,
        logger: Logger,
        interrupt: Int32
    ) throws(PostgresError) -> LibPQSession {
        let string = try ConnectionString(configuration.connectionString)
        var failures: [PostgresError] = []
        for attempt in string.attempts {
            do throws(PostgresError) {
                return try connect(configuration, string, attempt, logger: logger, interrupt: interrupt)
            } catch {
                guard error.code == .connectionFailed else { throw error }
                failures.append(error)
            }
        }
        throw combined(failures)
    }

    /// One failure for several hosts: worth another try if that of any host is.
    private static func combined(_ failures: [PostgresError]) -> PostgresError {
        var error = failures.first(where: \.isTransient) ?? failures[0]
        error.message = failures.map(\.message).joined(separator: "; ")
        return error
    }

    private static func connect(
        _ configuration: PostgresConfiguration,
        _ string: ConnectionString,
        _ attempt: ConnectionString.Attempt,
        logger: Logger,
        interrupt: Int32
    ) throws(PostgresError) -> LibPQSession {
        let timeout = string.connectTimeout ?? configuration.connectTimeout
        guard let pointer = start(configuration, attempt) else {
            throw PostgresError(.connectionFailed, "out of memory")
        }
        let notices = NoticeSink(logger: logger)
        let session = LibPQSession(adopting: pointer, notices: notices, configuration: configuration)
        notices.attach(to: pointer)
        // Verbose messages carry the SQLSTATE, which libpq offers no other way to learn when a login fails.
        PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
        try session.establish(within: timeout, string, interrupt: interrupt)
        PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT)
        guard PQsetnonblocking(pointer, 1) == 0 else { throw session.connectionLost() }
        if let limit = configuration.serverSilenceLimit {
            try session.limitSilence(limit)
            try session.makeReadCommitted()
        }
        return session
    }

    private static func start(
        _ configuration: PostgresConfiguration,
        _ attempt: ConnectionString.Attempt
    ) -> OpaquePointer? {
        let parameters =
            [
                // Before the connection string: defaults which it may overrule. They find a peer that fell silent.
                ("fallback_application_name", configuration.applicationName)
            ] + SilenceLimit(configuration.silenceLimit).clientOptions + [
                ("dbname", configuration.connectionString),
                // After it: what the decoding relies on.
                ("client_encoding", "UTF8"),
            ] + attempt.overrides.map { ($0.key, $0.value) }
        let keywords = parameters.map { strdup($0.0) } + [nil]
        let values = parameters.map { strdup($0.1) } + [nil]
        defer {
            for text in keywords + values { free(text) }
        }
        return PQconnectStartParams(keywords.map { UnsafePointer($0) }, values.map { UnsafePointer($0) }, 1)
    }

    private func establish(
        within timeout: Duration,
        _ string: ConnectionString,
        interrupt: Int32
    ) throws(PostgresError) {
        guard !isBroken else { throw connectionFailed(string) }
        let deadline = ContinuousClock.now + timeout
        var wanted = Int16(POLLOUT)
        while true {
            let left = deadline - .now
            guard left > .zero else {
                let host = PQhost(pointer).map { String(cString: $0) } ?? ""
                let port = PQport(pointer).map { String(cString: $0) } ?? ""
                throw PostgresError(
                    .connectionFailed,
                    "connection to server at \"\(host)\", port \(port) failed: timeout expired"
                        + " after \(timeout)"
                )
            }
            var descriptors = [
                pollfd(fd: socket, events: wanted, revents: 0),
                pollfd(fd: interrupt, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&descriptors, 2, left.pollMilliseconds) < 0 && errno != EINTR {
                throw PostgresError(.connectionFailed, "poll failed: \(String(cString: strerror(errno)))")
            }
            if descriptors[1].revents != 0 {
                throw PostgresError(.cancelled, "the attempt to connect was given up")
            }
            guard descriptors[0].revents != 0 else { continue }
            switch PQconnectPoll(pointer) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: wanted = Int16(POLLIN)
            case PGRES_POLLING_WRITING: wanted = Int16(POLLOUT)
            default: throw connectionFailed(string)
            }
        }
    }

    /// Tells the server. A server that refuses, because it is something else than Postgres, is none the worse for it.
    private func limitSilence(_ limit: Duration) throws(PostgresError) {
        guard var loss = run(script: SilenceLimit(limit).serverScript).loss else { return }
        loss.code = .connectionFailed
        throw loss
    }

    /// What is sent relies on it: a statement has to see what was committed while it waited for a lock.
    private func makeReadCommitted() throws(PostgresError) {
        let outcome = run(script: "set default_transaction_isolation = 'read committed'")
        guard case .failure(var error) = outcome.result else { return }
        error.code = .connectionFailed
        throw error
    }

    private func connectionFailed(_ string: ConnectionString) -> PostgresError {
        let report = LoginReport(String(cString: PQerrorMessage(pointer)))
        let message = string.redact(report.message)
        // libpq checks the values of its options only here.
        let isConfiguration = message.hasPrefix("invalid ") || message.hasPrefix("could not match ")
        return PostgresError(
            isConfiguration ? .invalidConfiguration : .connectionFailed,
            message.isEmpty ? "the connection failed" : message,
            sqlState: report.sqlState
        )
    }
}

extension Duration {
    /// Rounded up, so that a wait does not end early and spin.
    var pollMilliseconds: Int32 {
        let (seconds, attoseconds) = components
        guard seconds < Int64(Int32.max) / 1000 - 1 else { return Int32.max }
        return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
