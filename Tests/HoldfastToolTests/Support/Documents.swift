// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

// What docs/cli.md promises of the documents, as types. `Explicit` members must be there even when they are null.

/// A member that must be in the document, with a value or as null.
@propertyWrapper
struct Explicit<Value: Decodable & Sendable>: Decodable, Sendable {
    var wrappedValue: Value?

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self.wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }
}

struct MigrationDocument: Decodable, Sendable {
    struct Schema: Decodable, Sendable {
        var name: String
        var found: Int
        var version: Int
        var outcome: String
    }

    var createdDatabase: Bool
    var schema: Schema
    var ownSchema: Schema
}

struct WorkflowDocument: Decodable, Sendable {
    var id: String
    var status: String
    var name: String
    @Explicit var queue: String?
    @Explicit var executorId: String?
    @Explicit var applicationName: String?
    @Explicit var applicationVersion: String?
    var createdAt: Date
    var updatedAt: Date
    @Explicit var startedAt: Date?
    @Explicit var completedAt: Date?
    var recoveryAttempts: Int
    var priority: Int
    @Explicit var parentId: String?
    @Explicit var forkedFrom: String?
    @Explicit var deduplicationId: String?
    @Explicit var timeoutSeconds: Double?
    @Explicit var deadline: Date?
    @Explicit var delayedUntil: Date?
}

struct Arguments: Decodable, Sendable {
    var positionalArgs: [String]
    var namedArgs: [String: String]
}

struct RecordedErrorDocument: Decodable, Sendable {
    var name: String
    var message: String
}

struct WorkflowPayloadsDocument: Decodable, Sendable {
    @Explicit var serialization: String?
    @Explicit var input: Arguments?
    @Explicit var output: String?
    @Explicit var error: RecordedErrorDocument?
    var takeovers: [TakeoverDocument]
}

struct TakeoverDocument: Decodable, Sendable {
    var at: Date
    var from: String
    var by: String
    @Explicit var applicationVersion: String?
    var reason: String
    var strikes: Int
    var decision: String
}

struct ExplanationDocument: Decodable, Sendable {
    var workflowId: String
    var reason: String
    var sentence: String
}

struct VersionDocument: Decodable, Sendable {
    var name: String
    var latest: Bool
    @Explicit var registeredAt: Date?
    var liveExecutors: Int
    var drainingExecutors: Int
    var enqueued: Int
    var pending: Int
    var delayed: Int
    var unversioned: Int
    @Explicit var oldestOpenAt: Date?
    var verdict: String
}

struct AwaitedVersionDocument: Decodable, Sendable {
    var version: String
    var verdict: String
}

struct LatestVersionDocument: Decodable, Sendable {
    var latest: String
    @Explicit var previous: String?
}

struct RetiredVersionDocument: Decodable, Sendable {
    var version: String
    var outcome: String
}

struct RepinDocument: Decodable, Sendable, Equatable {
    var from: String
    var to: String
    var moved: Int
    var left: Int
}

struct ReplayDocument: Decodable, Sendable {
    var workflowId: String
    var compared: Bool
    var compatible: Bool
    @Explicit var step: Int?
    @Explicit var detail: String?
}

struct DrainDocument: Decodable, Sendable, Equatable {
    var executorId: String
    var outcome: String
    var state: String?
}

struct StepDocument: Decodable, Sendable {
    var step: Int
    var name: String
    @Explicit var output: String?
    @Explicit var error: RecordedErrorDocument?
    @Explicit var childId: String?
    @Explicit var startedAt: Date?
    @Explicit var completedAt: Date?
    @Explicit var serialization: String?
}

struct ControlDocument: Decodable, Sendable, Equatable {
    var id: String
    var outcome: String
    var status: String?
}

struct EnqueueDocument: Decodable, Sendable {
    var id: String
    var name: String
    var queue: String
}

struct QueueDocument: Decodable, Sendable {
    var name: String
    var registered: Bool
    @Explicit var applicationName: String?
    @Explicit var concurrency: Int?
    @Explicit var workerConcurrency: Int?
    @Explicit var rateLimit: Int?
    @Explicit var ratePeriodSeconds: Double?
    var enqueued: Int
    var pending: Int
    var delayed: Int
    @Explicit var oldestEnqueuedAt: Date?
}

struct ExecutorDocument: Decodable, Sendable {
    var executorId: String
    var incarnation: String
    var state: String
    var applicationName: String
    var applicationVersion: String
    var host: String
    var pid: Int
    var running: Int
    var capacity: Int
    var ownedWorkflows: Int
    var startedAt: Date
    var heartbeatAgeSeconds: Double
    var leaseRemainingSeconds: Double
    var hasLeaseSession: Bool
    var drainRequested: Bool
    @Explicit var endReason: String?
    @Explicit var endedBy: String?
}
