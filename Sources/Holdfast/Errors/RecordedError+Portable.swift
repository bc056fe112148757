// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension PortableErrorPayload {
    /// The stored form of any error: what it says of itself, and the whole of it if it is `Codable`.
    init(_ error: any Error, data: JSONValue? = nil) {
        switch error {
        case let error as RecordedError:
            self.init(
                name: error.name,
                message: error.message,
                code: error.code.map { Int64($0).map { .number(JSONNumber($0)) } ?? .string($0) },
                data: error.data.flatMap { try? PortableJSON.parse($0) }
            )
        case let error as HoldfastError:
            self.init(
                name: error.code.name,
                message: error.message,
                code: error.code.number.map { .number(JSONNumber($0)) },
                data: data
            )
        case let error as WorkflowFailure:
            self = Self.awaited(error)
        default:
            let encoded = (error as? any Encodable).flatMap { Self.encoded($0) }
            self.init(
                name: "\(type(of: error))",
                // A NUL would be refused by Postgres and leave the workflow without an outcome.
                message: String("\(error)".map { $0 == "\0" ? "\u{FFFD}" : $0 }),
                data: data ?? encoded
            )
        }
    }

    /// The failure of an awaited child, in a form from which replay makes the same failure.
    private static func awaited(_ failure: WorkflowFailure) -> PortableErrorPayload {
        switch failure {
        case .failed(_, let error): PortableErrorPayload(error)
        case .cancelled(let id):
            PortableErrorPayload(
                name: "AwaitedWorkflowCancelled",
                message: "\(failure)",
                code: 13,
                data: Self.reference(to: id)
            )
        case .recoveryAttemptsExceeded(let id):
            PortableErrorPayload(
                name: "AwaitedWorkflowMaxRecoveryAttemptsExceeded",
                message: "\(failure)",
                code: 14,
                data: Self.reference(to: id)
            )
        }
    }

    /// Names the workflow that an error is about.
    static func reference(to id: WorkflowID) -> JSONValue { .object(["workflowID": .string(id.rawValue)]) }

    /// The payload's text, without its data or with a shorter message if it would be too large: an error must be recordable.
    func text(limit: Int) -> String {
        var payload = self
        var text = payload.text()
        if text.utf8.count > limit, payload.data != nil {
            payload.data = nil
            text = payload.text()
        }
        var kept = self.message.count
        while text.utf8.count > limit, kept > 0 {
            kept /= 2
            payload.message = self.message.prefix(kept) + "…"
            text = payload.text()
        }
        return text
    }

    private static func encoded(_ value: any Encodable) -> JSONValue? {
        guard let text = try? PortableJSON.encode(AnyEncodable(value)) else { return nil }
        return try? PortableJSON.parse(text)
    }

    /// The payload as a JSON value.
    var value: JSONValue { (try? PortableJSON.parse(self.text())) ?? .string(self.message) }
}

extension RecordedError {
    init(_ payload: PortableErrorPayload) {
        let code: String? =
            switch payload.code {
            case .number(let number): number.text
            case .string(let text): text
            default: nil
            }
        self.init(
            name: payload.name,
            message: payload.message,
            code: code,
            data: payload.data.map { PortableJSON.text(of: $0) }
        )
    }

    package init(parsing text: String) { self.init(PortableErrorPayload(parsing: text)) }

    /// The recorded error, as the declared type if it is one of those.
    static func parsed(_ text: String, declared: (any (Error & Codable).Type)?) -> any Error {
        let error = RecordedError(parsing: text)
        guard let declared, error.name == "\(declared)", let data = error.data,
            let value = try? PortableJSON.decode(declared, from: data)
        else { return error }
        return value
    }
}

/// Opens an existential for the generic encoder.
private struct AnyEncodable: Encodable {
    let value: any Encodable
    init(_ value: any Encodable) { self.value = value }
    func encode(to encoder: any Encoder) throws { try self.value.encode(to: encoder) }
}
