// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// A fault of a call, of the configuration or of the environment; not the failure of a workflow.
public struct HoldfastError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// A stable name for logs and scripts.
        public let name: String
        /// The number of the same condition in DBOS's table, if there is one.
        public let number: Int?

        init(_ name: String, _ number: Int? = nil) {
            self.name = name
            self.number = number
        }

        /// The name.
        public var description: String { self.name }

        /// An option is missing, out of range or contradicts another.
        public static let invalidConfiguration = Code("InvalidConfiguration", 3)
        /// An argument is blank or out of range.
        public static let invalidArgument = Code("InvalidArgument")
        /// Two workflows are registered under one name.
        public static let duplicateRegistration = Code("DuplicateRegistration")
        /// `run()` was called twice.
        public static let alreadyRunning = Code("AlreadyRunning")
        /// The executor is shutting down.
        public static let notRunning = Code("NotRunning")
        /// A process that began later runs in the executor's slot: both were given the same `executorID`.
        public static let slotTaken = Code("SlotTaken")
        /// The workflow's name is not registered with this executor.
        public static let workflowNotRegistered = Code("WorkflowNotRegistered", 4)
        /// No workflow has this id.
        public static let nonExistentWorkflow = Code("NonExistentWorkflow", 5)
        /// The id belongs to a workflow of another name.
        public static let conflictingWorkflow = Code("ConflictingWorkflow", 9)
        /// The code asked for another operation than the one recorded at this number.
        public static let unexpectedStep = Code("UnexpectedStep", 11)
        /// Another workflow holds the deduplication id on this queue.
        public static let queueDeduplicated = Code("QueueDeduplicated", 12)
        /// The id is in use, and the caller asked for a new workflow.
        public static let workflowIDInUse = Code("WorkflowIDInUse", 27)
        /// One execution recorded two operations under one number.
        public static let stepNondeterminism = Code("StepNondeterminism", 28)
        /// A step ran out of time.
        public static let stepTimeout = Code("StepTimeout", 18)
        /// A step failed on every attempt.
        public static let stepRetriesExceeded = Code("MaxStepRetriesExceeded", 7)
        /// A value cannot be written as portable JSON.
        public static let unencodable = Code("Unencodable")
        /// A recorded or received value is not what the code expects.
        public static let undecodable = Code("Undecodable")
        /// A value is larger than the limit.
        public static let payloadTooLarge = Code("PayloadTooLarge")
        /// A durable operation was called where it may not be, for instance from another task.
        public static let misplacedCall = Code("MisplacedCall")
        /// Somebody's open transaction holds what the call was to change.
        public static let locked = Code("Locked")
        /// The database cannot be reached or refused a statement.
        public static let database = Code("Database")
        /// The system database's layout is not one this program can use.
        public static let schema = Code("Schema", 3)
    }

    /// What went wrong.
    public let code: Code
    /// A sentence that names the culprit and the cure.
    public let message: String
    /// The error behind it, if there is one.
    public let underlying: (any Error)?

    init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    /// The code and the message.
    public var description: String { "\(self.code): \(self.message)" }
}
