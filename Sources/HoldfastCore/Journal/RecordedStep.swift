// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One row of `operation_outputs` as the journal sees it.
package struct RecordedStep: Sendable, Hashable {
    package var functionID: Int32
    package var name: String
    package var output: String?
    package var error: String?
    package var childWorkflowID: String?
    package var serialization: String?

    package init(
        functionID: Int32,
        name: String,
        output: String? = nil,
        error: String? = nil,
        childWorkflowID: String? = nil,
        serialization: String? = nil
    ) {
        self.functionID = functionID
        self.name = name
        self.output = output
        self.error = error
        self.childWorkflowID = childWorkflowID
        self.serialization = serialization
    }
}
