// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Why a test cannot be run or a call of the kit makes no sense; not a fault of the code under test.
public struct TestKitError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// A stable name.
        public let description: String

        /// There is no test database here.
        public static let noDatabase = Code(description: "NoDatabase")
        /// No server is named, and none can be started.
        public static let noServer = Code(description: "NoServer")
        /// The server that is named cannot be used.
        public static let unusableServer = Code(description: "UnusableServer")
        /// A server was to be started and did not come up.
        public static let serverFailed = Code(description: "ServerFailed")
        /// An executor was asked for what it cannot do any more, or cannot do at all.
        public static let executor = Code(description: "Executor")
        /// What was waited for did not happen.
        public static let timeout = Code(description: "Timeout")
        /// An argument makes no sense.
        public static let invalidArgument = Code(description: "InvalidArgument")
    }

    /// What went wrong.
    public let code: Code
    /// A sentence that names the culprit and the cure.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The code and the message.
    public var description: String { "\(self.code): \(self.message)" }
}
