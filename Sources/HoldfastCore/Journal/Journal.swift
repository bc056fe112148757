// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The replay machine of one execution: it hands out step numbers in program order and answers from what is recorded.
///
/// States, by the recorded steps still ahead of the counter:
/// - *replaying*: at least one recorded step has a number above the counter; can transition to *live*.
/// - *live*: nothing recorded lies ahead; every further operation executes. Never goes back.
///
/// Numbers start at 1, as Python's do, because rewind and fork are written for 1-based numbering.
package struct Journal: Sendable {
    /// What an operation must do with the number it was given.
    package enum Decision: Sendable, Equatable {
        /// Nothing is recorded: run it and record it under this number.
        case execute(functionID: Int32)
        /// It ran before: answer with the record.
        case replay(RecordedStep)
    }

    /// The code asked for another operation than the one recorded at this number.
    package struct Mismatch: Error, Sendable, Equatable {
        package var functionID: Int32
        package var called: String
        package var recorded: String
    }

    private var recorded: [Int32: RecordedStep]
    private var highestRecorded: Int32
    private var counter: Int32 = 0

    package init(recorded: [RecordedStep] = []) {
        self.recorded = Dictionary(recorded.map { ($0.functionID, $0) }, uniquingKeysWith: { first, _ in first })
        self.highestRecorded = recorded.map(\.functionID).max() ?? 0
    }

    /// Whether the next operation may be answered from the record; logging is muted while it is.
    package var isReplaying: Bool { self.counter < self.highestRecorded }

    /// The number the next operation will get.
    package var nextFunctionID: Int32 { self.counter + 1 }

    /// Takes the next number for the operation `name`.
    package mutating func next(_ name: String) throws(Mismatch) -> Decision {
        self.counter += 1
        guard let step = self.recorded.removeValue(forKey: self.counter) else {
            return .execute(functionID: self.counter)
        }
        guard step.name == name else {
            throw Mismatch(functionID: self.counter, called: name, recorded: step.name)
        }
        return .replay(step)
    }

    /// What a patch finds at the next number.
    package enum PatchDecision: Sendable, Equatable {
        /// Nothing is recorded there: this run takes the new way and records its marker under this number.
        case record(functionID: Int32)
        /// The marker is recorded: the new way. The number is taken.
        case isRecorded
        /// Something else is recorded there, or only further ahead: the old way. No number is taken.
        case isAbsent
    }

    /// Decides a patch by what is recorded at the next number, and takes the number only when the marker is or comes there.
    package mutating func patch(_ marker: String) -> PatchDecision {
        guard let step = self.recorded[self.counter + 1] else {
            // In a gap between parallel steps: an earlier run went on from here without a marker, which it would have
            // recorded before anything later.
            if self.isReplaying { return .isAbsent }
            self.counter += 1
            return .record(functionID: self.counter)
        }
        guard step.name == marker else { return .isAbsent }
        self.counter += 1
        self.recorded[self.counter] = nil
        return .isRecorded
    }

    /// Takes the next number if a patch's marker is recorded there; otherwise nothing happens.
    package mutating func skipPatch(_ marker: String) {
        guard self.recorded[self.counter + 1]?.name == marker else { return }
        self.counter += 1
        self.recorded[self.counter] = nil
    }

    /// The first recorded step that no operation has asked for.
    package var firstUnused: RecordedStep? { self.recorded.values.min { $0.functionID < $1.functionID } }
}
