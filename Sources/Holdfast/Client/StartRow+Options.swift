// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension StartRow {
    /// The row of a workflow on a queue, or on the internal queue; validated.
    init(
        id: WorkflowID,
        name: WorkflowName,
        input: some Encodable,
        timeout: Duration?,
        delay: Duration?,
        priority: Int,
        queue: QueueName?,
        limits: PayloadLimits,
        clock: (any WorkflowClock)?
    ) throws {
        guard !id.isBlank else {
            throw HoldfastError(.invalidArgument, "the workflow's id is blank; leave it out or name it")
        }
        guard !name.isBlank else { throw HoldfastError(.invalidArgument, "workflow '\(id)': its name is blank") }
        if let queue, queue.isBlank {
            throw HoldfastError(.invalidArgument, "workflow '\(id)': the queue's name is blank")
        }
        if let timeout, timeout <= .zero {
            throw HoldfastError(.invalidArgument, "workflow '\(id)': timeout is \(timeout); it must be positive")
        }
        if let delay, delay < .zero {
            throw HoldfastError(.invalidArgument, "workflow '\(id)': delay is \(delay); it must not be negative")
        }
        guard (0...Int(Int32.max)).contains(priority) else {
            throw HoldfastError(
                .invalidArgument,
                "workflow '\(id)': priority is \(priority); it must be between 0 (the highest) and \(Int32.max)"
            )
        }
        if queue == nil, delay != nil || priority != 0 {
            throw HoldfastError(.invalidArgument, "workflow '\(id)': a delay or a priority needs a queue")
        }
        let inputs: String
        do throws(PortableJSONError) {
            inputs = try PortableArguments.encode(single: input)
        } catch {
            throw HoldfastError(
                .unencodable,
                "workflow '\(id)' (\(name)): its input cannot be written as JSON: \(error)",
                underlying: error
            )
        }
        try limits.check(inputs, of: "the input of workflow '\(id)' (\(name))")
        self.init(
            workflowID: id.rawValue,
            status: delay == nil ? .enqueued : .delayed,
            name: name.rawValue,
            inputs: inputs,
            creatorToken: UUID().uuidString.lowercased(),
            queue: (queue ?? .internal).rawValue,
            timeoutMilliseconds: timeout?.inMilliseconds,
            priority: Int32(clamping: priority),
            delayMilliseconds: delay?.inMilliseconds,
            delayUntil: delay.flatMap { clock?.end(ofDelay: $0) }
        )
    }

    /// Turns the row into one that this process runs at once, as the owner of `token`.
    mutating func startHere(token: String, now: Int64) {
        self.status = .pending
        self.queue = nil
        self.creatorToken = token
        self.ownerToken = token
        self.recoveryAttempts = 1
        if let timeout = self.timeoutMilliseconds { self.deadline = now.addingClamped(timeout) }
    }
}

extension StoredWorkflow {
    /// An id belongs to one workflow: the same name under the same class and configuration.
    static func check(_ stored: StoredWorkflow, against row: StartRow) throws(HoldfastError) {
        guard stored.name == row.name, stored.className == row.className, stored.configName == row.configName else {
            throw HoldfastError(
                .conflictingWorkflow,
                "id '\(row.workflowID)' belongs to workflow '\(stored.name ?? "")' already; it cannot be used for "
                    + "'\(row.name)'"
            )
        }
    }
}
