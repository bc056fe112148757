// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import ArgumentParser
import Holdfast

struct WorkflowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workflow",
        abstract: "Shows, explains, cancels, resumes and enqueues workflows.",
        subcommands: [
            WorkflowListCommand.self, WorkflowGetCommand.self, WorkflowWhyCommand.self, WorkflowStepsCommand.self,
            WorkflowHistoryCommand.self, WorkflowExportCommand.self, WorkflowCancelCommand.self,
            WorkflowResumeCommand.self, WorkflowEnqueueCommand.self,
        ]
    )
}

extension WorkflowStatus {
    var color: Style.Color? {
        switch self {
        case .success: .green
        case .error, .recoveryAttemptsExceeded: .red
        case .cancelled: .yellow
        case .pending: .cyan
        default: nil
        }
    }
}

extension WorkflowSnapshot {
    /// The members that every command gives of a workflow.
    var members: [String: JSONText] {
        [
            "id": JSONText(self.id),
            "status": .string(self.status.rawValue),
            "name": JSONText(self.name),
            "queue": JSONText(self.queue),
            "executorId": JSONText(self.executorID),
            "applicationName": JSONText(self.applicationName),
            "applicationVersion": JSONText(self.applicationVersion),
            "createdAt": JSONText(self.createdAt),
            "updatedAt": JSONText(self.updatedAt),
            "startedAt": JSONText(self.startedAt),
            "completedAt": JSONText(self.completedAt),
            "recoveryAttempts": .integer(self.recoveryAttempts),
            "priority": .integer(self.priority),
            "parentId": JSONText(self.parentID),
            "forkedFrom": JSONText(self.forkedFrom),
            "deduplicationId": JSONText(self.deduplicationID),
            "timeoutSeconds": JSONText(seconds: self.timeout?.inSeconds),
            "deadline": JSONText(self.deadline),
            "delayedUntil": JSONText(self.delayedUntil),
        ]
    }
}
