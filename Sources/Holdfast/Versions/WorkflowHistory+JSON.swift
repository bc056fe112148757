// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore

extension WorkflowHistory {
    /// The history as a JSON document with one line for each step, so that a difference between two is easy to read.
    ///
    /// - Throws: ``HoldfastError/Code/undecodable`` when a recorded value is not JSON.
    public var json: String {
        get throws {
            var lines: [String] = []
            func member(_ key: String, _ value: String) { lines.append("  \(Self.quoted(key)): \(value)") }
            member("id", Self.quoted(self.id.rawValue))
            member("name", Self.quoted(self.name.rawValue))
            member("status", Self.quoted(self.status.rawValue))
            if let input = try Self.checked(self.input, "its input", self.id) { member("input", input) }
            if let output = try Self.checked(self.output, "its output", self.id) { member("output", output) }
            if let error = try Self.checked(self.error, "its error", self.id) { member("error", error) }
            let steps = try self.steps.map { "    \(try $0.line(of: self.id))" }
            member("steps", steps.isEmpty ? "[]" : "[\n\(steps.joined(separator: ",\n"))\n  ]")
            return "{\n\(lines.joined(separator: ",\n"))\n}\n"
        }
    }

    /// Reads what ``json`` wrote.
    ///
    /// - Throws: ``HoldfastError/Code/undecodable`` saying what is missing or wrong.
    public init(json text: String) throws {
        let document = try Self.parse(text)
        guard case .object(let members) = document else { throw Self.broken("it is not an object") }
        guard case .array(let steps) = members["steps"] else { throw Self.broken("'steps' is not a list") }
        self.init(
            id: WorkflowID(try Self.string("id", in: members)),
            name: WorkflowName(try Self.string("name", in: members)),
            status: WorkflowStatus(rawValue: try Self.string("status", in: members)),
            input: members["input"].map { PortableJSON.text(of: $0) },
            output: members["output"].map { PortableJSON.text(of: $0) },
            error: members["error"].map { PortableJSON.text(of: $0) },
            steps: try steps.map { try Step($0) }
        )
        let numbers = self.steps.map(\.id)
        guard numbers == Array(Set(numbers)).sorted(), numbers.first.map({ $0.number > 0 }) ?? true else {
            throw Self.broken("the numbers of its steps do not grow from 1")
        }
    }

    fileprivate static func checked(_ text: String?, _ what: String, _ id: WorkflowID) throws -> String? {
        guard let text else { return nil }
        do throws(PortableJSONError) {
            return PortableJSON.text(of: try PortableJSON.parse(text))
        } catch {
            throw HoldfastError(.undecodable, "workflow '\(id)': \(what) is not JSON: \(error)", underlying: error)
        }
    }

    fileprivate static func quoted(_ text: String) -> String { PortableJSON.text(of: .string(text)) }

    private static func parse(_ text: String) throws(HoldfastError) -> JSONValue {
        do throws(PortableJSONError) { return try PortableJSON.parse(text) } catch { throw self.broken("\(error)") }
    }

    fileprivate static func string(_ key: String, in members: JSONObject) throws(HoldfastError) -> String {
        guard case .string(let text) = members[key] else { throw self.broken("'\(key)' is not a text") }
        return text
    }

    fileprivate static func broken(_ what: String) -> HoldfastError {
        HoldfastError(
            .undecodable,
            "this is no history of a workflow: \(what); 'holdfast workflow export' and WorkflowHistory.json write one"
        )
    }
}

extension WorkflowHistory.Step {
    fileprivate func line(of id: WorkflowID) throws -> String {
        var members = ["\"step\":\(self.id.number)", "\"name\":\(WorkflowHistory.quoted(self.name))"]
        for (key, value) in [("output", self.output), ("error", self.error)] {
            let what = "the \(key) of step \(self.id) '\(self.name)'"
            guard let text = try WorkflowHistory.checked(value, what, id) else { continue }
            members.append("\"\(key)\":\(text)")
        }
        if let childID = self.childID { members.append("\"childId\":\(WorkflowHistory.quoted(childID.rawValue))") }
        return "{\(members.joined(separator: ","))}"
    }

    fileprivate init(_ value: JSONValue) throws(HoldfastError) {
        guard case .object(let members) = value else { throw WorkflowHistory.broken("a step is not an object") }
        guard case .number(let number) = members["step"], let id = number.asInt64.flatMap(Int32.init(exactly:)) else {
            throw WorkflowHistory.broken("'step' is not a number")
        }
        var childID: WorkflowID?
        if members["childId"] != nil {
            childID = WorkflowID(try WorkflowHistory.string("childId", in: members))
        }
        self.init(
            id: StepID(id),
            name: try WorkflowHistory.string("name", in: members),
            output: members["output"].map { PortableJSON.text(of: $0) },
            error: members["error"].map { PortableJSON.text(of: $0) },
            childID: childID
        )
    }
}
