// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// Why a command ends early, and the number that says so.
struct Failure: Error, Equatable {
    var status: ExitStatus
    var message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// What an error of the library comes down to.
    init(_ error: any Error) {
        if let failure = error as? Failure {
            self = failure
        } else if let fault = DatabaseFault(error) {
            self.init(fault)
        } else if let error = error as? HoldfastError {
            self.init(Self.status(of: error.code), error.message)
        } else {
            self.init(.failed, "\(error)")
        }
    }

    private init(_ fault: DatabaseFault) {
        switch fault.kind {
        case .misconfigured: self.init(.usage, fault.message)
        case .unreachable: self.init(.unreachable, "no connection to the database: \(fault.message)")
        case .behind:
            let cure = "Run 'holdfast migrate' to create or upgrade the system database."
            self.init(.unusableSchema, "\(fault.message)\n\(cure)")
        case .unusable: self.init(.unusableSchema, fault.message)
        case .unknownObject, .refused: self.init(.failed, "the database refused: \(fault.message)")
        }
    }

    private static func status(of code: HoldfastError.Code) -> ExitStatus {
        switch code {
        case .invalidConfiguration, .invalidArgument, .unencodable, .payloadTooLarge: .usage
        case .nonExistentWorkflow: .notFound
        case .workflowIDInUse: .unchanged
        case .schema: .unusableSchema
        default: .failed
        }
    }
}
