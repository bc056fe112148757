// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

public import ArgumentParser
public import Holdfast

// Blank names and ids are mistakes, mostly of a shell variable that is not set.

extension TextIdentifier {
    fileprivate init?(nonBlank argument: String) {
        guard !argument.allSatisfy(\.isWhitespace) else { return nil }
        self.init(rawValue: argument)
    }
}

extension WorkflowID: ExpressibleByArgument {
    /// Reads an id from the command line.
    public init?(argument: String) { self.init(nonBlank: argument) }
}

extension WorkflowName: ExpressibleByArgument {
    /// Reads a name from the command line.
    public init?(argument: String) { self.init(nonBlank: argument) }
}

extension QueueName: ExpressibleByArgument {
    /// Reads a name from the command line.
    public init?(argument: String) { self.init(nonBlank: argument) }
}

extension ExecutorID: ExpressibleByArgument {
    /// Reads an id from the command line.
    public init?(argument: String) { self.init(nonBlank: argument) }
}

/// A state on the command line, in any case. Only known ones: a misspelt one would find nothing and say nothing.
struct StatusArgument: ExpressibleByArgument {
    let status: WorkflowStatus

    init?(argument: String) {
        let status = WorkflowStatus(rawValue: argument.uppercased())
        guard WorkflowStatus.all.contains(status) else { return nil }
        self.status = status
    }

    static var allValueStrings: [String] { WorkflowStatus.all.map(\.rawValue) }
}
