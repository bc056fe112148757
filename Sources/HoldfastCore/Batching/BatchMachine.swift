// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import DequeModule

/// What a batched request tells the machine about itself.
package protocol Batchable: Sendable {
    /// Two requests with the same key never share a batch; `nil` never conflicts.
    var exclusionKey: String? { get }
    /// Its share of a batch's size limit, in bytes.
    var byteCount: Int { get }
}

/// The group commit's queue: while one batch is being committed the next one fills.
///
/// States:
/// - *idle*: nothing pending, nobody commits. `submit` leads to *committing* with a batch of one: no added latency.
/// - *committing*: one batch is on its way. `submit` adds to the pending requests. `committed` leads to *committing*
///   with the next batch when something is pending, else to *idle*.
///
/// There is no background task: the submitter of the first request of a batch commits it (it *leads*) and then passes
/// the lead to a submitter of the next.
package struct BatchMachine<Request: Batchable>: Sendable {
    package enum SubmitAction: Sendable {
        /// Commit this batch now, it contains the submitted request.
        case lead([Request])
        /// Wait: somebody else commits the request, or hands over the lead.
        case wait
    }

    package enum CommittedAction: Sendable {
        /// The submitter of the batch's first request must commit it.
        case handOver([Request])
        case none
    }

    private var pending: Deque<Request> = []
    private var isCommitting = false
    private let maximumCount: Int
    private let maximumBytes: Int

    package init(maximumCount: Int, maximumBytes: Int) {
        precondition(maximumCount > 0 && maximumBytes > 0, "a batch must hold at least one request")
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package var pendingCount: Int { self.pending.count }

    package mutating func submit(_ request: Request) -> SubmitAction {
        if self.isCommitting {
            self.pending.append(request)
            return .wait
        }
        assert(self.pending.isEmpty, "requests may only wait behind a commit")
        self.isCommitting = true
        return .lead([request])
    }

    package mutating func committed() -> CommittedAction {
        precondition(self.isCommitting, "committed() without a commit")
        if self.pending.isEmpty {
            self.isCommitting = false
            return .none
        }
        return .handOver(self.takeBatch())
    }

    /// Takes requests in order until a limit is reached; a request whose key is already in the batch stays for a later
    /// one, because one statement may not touch the same row twice.
    private mutating func takeBatch() -> [Request] {
        var batch: [Request] = []
        var keys: Set<String> = []
        var bytes = 0
        var deferred: [Request] = []
        while let request = self.pending.first, batch.count < self.maximumCount {
            if let key = request.exclusionKey, keys.contains(key) {
                deferred.append(self.pending.removeFirst())
                continue
            }
            if !batch.isEmpty && bytes + request.byteCount > self.maximumBytes { break }
            self.pending.removeFirst()
            if let key = request.exclusionKey { keys.insert(key) }
            bytes += request.byteCount
            batch.append(request)
        }
        for request in deferred.reversed() { self.pending.prepend(request) }
        return batch
    }
}
