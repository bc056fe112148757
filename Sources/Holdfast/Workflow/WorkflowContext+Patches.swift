// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension WorkflowContext {
    /// Whether this run takes the changed way of the code.
    ///
    /// Put a change to the sequence of durable operations behind a patch, and workflows that began under the old code go on
    /// under the new one:
    /// ```swift
    /// if try await context.patch("split-invoice") {
    ///     … the new way …
    /// } else {
    ///     … the old way …
    /// }
    /// ```
    /// A run that has nothing recorded at this point records a marker and takes the new way, now and on every replay. A run
    /// that had passed this point before takes the old way. When no such run is left, replace the call with
    /// ``deprecatePatch(_:)`` and delete the old way.
    public func patch(_ name: String) async throws -> Bool {
        let marker = try self.marker(name)
        switch self.journal.patch(marker) {
        case .isRecorded: return true
        case .isAbsent: return false
        case .record(let functionID):
            try self.endCheckIfChecking()
            try await self.record(functionID, name: marker, startedAt: self.execution.now)
            return true
        }
    }

    /// Stands where a patch was, for runs that have its marker recorded. Delete it when none is left.
    public func deprecatePatch(_ name: String) throws {
        let marker = try self.marker(name)
        self.journal.skipPatch(marker)
    }

    private func marker(_ name: String) throws -> String {
        guard !name.allSatisfy(\.isWhitespace) else {
            throw HoldfastError(.invalidArgument, "workflow '\(self.id)': a patch's name is blank; give it one")
        }
        let marker = "DBOS.patch-\(name)"
        try self.checkCall(marker)
        try self.execution.admit()
        return marker
    }
}
