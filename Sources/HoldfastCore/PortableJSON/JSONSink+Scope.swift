// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension JSONSink {
    /// A value being written. What it becomes is decided by the container it asks for.
    struct Scope {
        enum Form {
            case undecided, object, array, scalar
        }

        var id: Int32
        var form = Form.undecided
        var count = 0
        /// How many containers are open around the value.
        var depth: Int
        var key: (any CodingKey)?
    }

    /// Names a scope. A container that outlives its value has a stale reference and can no longer write.
    struct Reference {
        var index: Int32
        var id: Int32
    }

    /// What must outlast the failing value, shared by all sinks of one document.
    final class Notes {
        /// A mistake at a point where the protocols do not let us throw.
        var misuse: EncodingError?
        /// Where the last error came from, and its type.
        var failure: (path: [any CodingKey], type: any Error.Type)?
    }
}
