// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// What the requests that are set aside tell the machine about themselves.
package protocol Divertible: Sendable {
    /// What it is about: who cannot be written keeps others of the same subject from being written.
    var subject: String { get }
}

/// The requests that a commit has refused. They are tried apart from all others, so that nobody waits behind them.
///
/// States:
/// - *empty*: nothing is set aside.
/// - *trying*: a round of them is under way. What is set aside meanwhile is for the next one. `ended` leads to *trying* when
///   some of that may fare better, to *resting* when it may not, and to *empty* when nothing is left.
/// - *resting*: `takeRound` leads to *trying*.
///
/// Whoever leaves *empty* begins to tend what is set aside, and does so until it is empty again.
package struct AsideMachine<Request: Divertible>: Sendable {
    package enum Next: Sendable, Equatable {
        case done
        case again
        case rest
    }

    private var waiting: [Request] = []
    private var subjects: Set<String> = []
    /// Whether anything is set aside.
    package private(set) var isTended = false

    package init() {}

    /// Whether a request about `subject` must be set aside as well: it would only be refused, too.
    package func holds(_ subject: String) -> Bool { self.subjects.contains(subject) }

    /// - Returns: Whether the caller must begin to tend.
    package mutating func add(_ requests: [Request]) -> Bool {
        self.waiting += requests
        self.subjects.formUnion(requests.map(\.subject))
        defer { self.isTended = true }
        return !self.isTended
    }

    package mutating func takeRound() -> [Request] {
        defer { self.waiting = [] }
        return self.waiting
    }

    /// A round has ended.
    ///
    /// - Parameter refused: Those of the round that are still without an answer.
    package mutating func ended(refused: [Request]) -> Next {
        precondition(self.isTended, "ended() without a round")
        let hopeless = Set(refused.map(\.subject))
        let next: Next = self.waiting.contains { !hopeless.contains($0.subject) } ? .again : .rest
        self.waiting = refused + self.waiting
        self.subjects = Set(self.waiting.map(\.subject))
        guard self.waiting.isEmpty else { return next }
        self.isTended = false
        return .done
    }
}
