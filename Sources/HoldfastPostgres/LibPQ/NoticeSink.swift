// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import CLibPQ
import Logging

/// Where libpq's notices go: to the log instead of standard error. Used on the connection's thread only.
final class NoticeSink {
    private let logger: Logger
    /// The error with which the server ended an idle connection; it arrives as a notice.
    private(set) var lastFatal: PostgresError?

    init(logger: Logger) {
        self.logger = logger
    }

    /// Must be kept alive as long as the connection.
    func attach(to connection: OpaquePointer) {
        PQsetNoticeReceiver(
            connection,
            { context, result in
                guard let context, let result else { return }
                Unmanaged<NoticeSink>.fromOpaque(context).takeUnretainedValue().receive(result)
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }

    private func receive(_ result: OpaquePointer) {
        let (notice, isFatal) = serverError(in: result)
        if isFatal { lastFatal = notice }
        logger.debug("\(notice.message)", metadata: notice.sqlState.map { ["sqlstate": "\($0)"] })
    }
}
