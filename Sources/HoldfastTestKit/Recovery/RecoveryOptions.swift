// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import Holdfast

/// How ``verifyRecovery(of:input:options:in:registering:)`` goes about it.
public struct RecoveryOptions: Sendable {
    /// The queues on which children wait.
    public var queues: [Queue]
    /// At how many points the executor is killed at most; they are spread evenly over the run. Default: at all.
    public var maxCrashes: Int?
    /// Steps that may return something else whenever they run, so that their results are not compared. Steps that do so in
    /// undisturbed runs are found without being named here.
    public var varyingSteps: Set<StepName>
    /// How often each recorded history is replayed against the code: a random choice outside a step is found by the replay
    /// that makes another choice. Default: 32.
    public var replays: Int
    /// How long one run may take, in real time. Default: 60 s.
    public var timeLimit: Duration
    /// The id of the workflow under test, the same in every run.
    public var workflowID: WorkflowID

    /// Makes options.
    public init(
        queues: [Queue] = [],
        maxCrashes: Int? = nil,
        varyingSteps: Set<StepName> = [],
        replays: Int = 32,
        timeLimit: Duration = .seconds(60),
        workflowID: WorkflowID = "under-test"
    ) {
        self.queues = queues
        self.maxCrashes = maxCrashes
        self.varyingSteps = varyingSteps
        self.replays = replays
        self.timeLimit = timeLimit
        self.workflowID = workflowID
    }

    func validate() throws {
        guard self.replays >= 1 else {
            throw TestKitError(.invalidArgument, "replays is \(self.replays); a history is replayed at least once")
        }
        guard self.maxCrashes.map({ $0 >= 0 }) ?? true else {
            throw TestKitError(.invalidArgument, "maxCrashes is negative; leave it out to crash at every point")
        }
    }
}

/// What was verified.
public struct RecoveryReport: Sendable, Hashable {
    /// At how many points the executor was killed.
    public var crashes: Int
    /// How many histories were replayed, replays of the same one counted each.
    public var replays: Int
    /// How many workflows the undisturbed run consisted of, children included.
    public var workflows: Int
    /// How many operations it recorded.
    public var steps: Int
    /// Points of the undisturbed run that a later run did not come by, because it took another way.
    public var missed: [CrashPoint]
    /// The names of steps that returned something else in undisturbed runs; their results were not compared.
    public var varyingSteps: [String]
}

/// A workflow did not survive a crash, or would not survive another.
public struct RecoveryFailure: Error, Sendable, CustomStringConvertible {
    /// What was found.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// A stable name.
        public let description: String

        /// Run again with its record, the code does not do what is recorded.
        public static let nondeterministic = Code(description: "Nondeterministic")
        /// After a crash, the outcome or a recorded result is not what it is in an undisturbed run.
        public static let different = Code(description: "Different")
        /// After a crash, the world outside is not what it is after an undisturbed run.
        public static let effectRepeated = Code(description: "EffectRepeated")
        /// What happens to the world outside cannot be compared, because it differs between undisturbed runs as well, or
        /// because no undisturbed run took the way of the recovered one.
        public static let effectsIncomparable = Code(description: "EffectsIncomparable")
        /// The workflow did not end in time.
        public static let stuck = Code(description: "Stuck")
        /// A step whose checkpoint was committed ran again, or a committed checkpoint changed: a bug of Holdfast.
        public static let checkpointIgnored = Code(description: "CheckpointIgnored")
    }

    /// What was found.
    public let code: Code
    /// Where the executor was killed; `nil` when it was found without a crash.
    public let crash: CrashPoint?
    /// The name of the workflow in whose record it was found.
    public let workflow: WorkflowName
    /// The operation, if it is one.
    public let step: StepID?
    /// What is wrong and how to mend it.
    public let message: String

    /// The code and the message.
    public var description: String { "\(self.code): \(self.message)" }
}
