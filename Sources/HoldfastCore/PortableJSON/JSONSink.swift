// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Where encoders write: bytes in document order, with a stack of the values that are being written.
///
/// A value passed to a container is complete when its `encode(to:)` returns, so it is written straight into the
/// bytes. Nested containers and super encoders stay open for as long as the type likes and may be written in turns;
/// each of them gets a sink of its own, and the parent keeps a hole that is filled at the end.
final class JSONSink {
    var bytes: [UInt8] = []
    private(set) var scopes: [Scope] = []
    private var holes: [(offset: Int, sink: JSONSink)] = []
    private var lastID: Int32 = 0
    let notes: Notes
    /// The path to the first scope.
    private let prefix: [any CodingKey]
    private let baseDepth: Int

    init(depth: Int) {
        notes = Notes()
        prefix = []
        baseDepth = depth
        bytes.reserveCapacity(240)
        scopes.reserveCapacity(8)
    }

    /// For a part of `parent` that is filled later.
    private init(within parent: JSONSink, at reference: Reference, key: any CodingKey) {
        notes = parent.notes
        prefix = parent.path(to: reference) + [key]
        baseDepth = parent.innerDepth(of: reference)
        push(key: nil, depth: baseDepth)
    }

    func appendRoot<T: Encodable>(_ value: T) throws {
        do {
            try append(value, key: nil, depth: baseDepth)
        } catch let refusal as JSONRefusal {
            throw self.error(refusal, value, at: [])
        }
    }

    /// Closes what is open and gives the bytes with all holes filled. Nothing can be written afterwards.
    func finish() -> [UInt8] {
        if let root = scopes.first { close(root) }
        scopes.removeAll()
        guard !holes.isEmpty else { return bytes }
        var filled: [UInt8] = []
        var start = 0
        for hole in holes {
            filled.append(contentsOf: bytes[start..<hole.offset])
            filled.append(contentsOf: hole.sink.finish())
            start = hole.offset
        }
        filled.append(contentsOf: bytes[start...])
        return filled
    }
}

// MARK: - Scopes

extension JSONSink {
    /// The reference to a value that has no container yet.
    var current: Reference {
        Reference(index: Int32(scopes.count - 1), id: scopes.last?.id ?? 0)
    }

    private func push(key: (any CodingKey)?, depth: Int) {
        lastID += 1
        scopes.append(Scope(id: lastID, depth: depth, key: key))
    }

    private func close(_ scope: Scope) {
        switch scope.form {
        case .undecided: bytes.append(ascii: "{}")
        case .object: bytes.append(UInt8(ascii: "}"))
        case .array: bytes.append(UInt8(ascii: "]"))
        case .scalar: break
        }
    }

    func path(to reference: Reference) -> [any CodingKey] {
        prefix + scopes.prefix(Int(reference.index) + 1).compactMap(\.key)
    }

    func count(at reference: Reference) -> Int {
        isCurrent(reference) ? scopes[Int(reference.index)].count : 0
    }

    private func innerDepth(of reference: Reference) -> Int {
        guard isCurrent(reference) else { return baseDepth }
        return scopes[Int(reference.index)].depth + 1
    }

    private func isCurrent(_ reference: Reference) -> Bool {
        Int(reference.index) == scopes.count - 1 && scopes[Int(reference.index)].id == reference.id
    }

    /// Makes the value an object or an array. A type may ask for the same container again, as a subclass that shares
    /// the encoder with its superclass does, but not for another one.
    func open(_ form: Scope.Form, at reference: Reference) {
        guard isCurrent(reference) else {
            return note(misuse: "container requested after its value was complete", at: reference)
        }
        let scope = scopes[Int(reference.index)]
        if scope.form == form { return }
        guard scope.form == .undecided else {
            return note(misuse: "two different containers requested for one value", at: reference)
        }
        guard scope.depth < JSONParser.maximumDepth else {
            return note(misuse: JSONRefusal.depth.description, at: reference)
        }
        scopes[Int(reference.index)].form = form
        bytes.append(form == .object ? UInt8(ascii: "{") : UInt8(ascii: "["))
    }

    private func note(misuse: String, at reference: Reference) {
        guard notes.misuse == nil else { return }
        let context = EncodingError.Context(codingPath: path(to: reference), debugDescription: misuse)
        notes.misuse = .invalidValue(self, context)
    }
}

// MARK: - Writing

extension JSONSink {
    func append<T: Encodable>(_ value: T, key: some CodingKey, asMemberOf reference: Reference) throws {
        try appendMember(key, of: reference, value: value) { sink, depth throws in
            try sink.append(value, key: key, depth: depth)
        }
    }

    func append<T: Encodable>(_ value: T, asElementOf reference: Reference) throws {
        let key = JSONIndexKey(count(at: reference))
        try appendElement(key, of: reference, value: value) { sink, depth throws in
            try sink.append(value, key: key, depth: depth)
        }
    }

    /// The single value of a scope.
    func append<T: Encodable>(_ value: T, asValueOf reference: Reference) throws {
        do {
            guard isCurrent(reference), scopes[Int(reference.index)].form == .undecided else {
                throw JSONRefusal.secondValue
            }
            let start = bytes.count
            let holeCount = holes.count
            do {
                try append(value, key: nil, depth: scopes[Int(reference.index)].depth)
                scopes[Int(reference.index)].form = .scalar
            } catch {
                unwind(to: start, holeCount: holeCount, scope: reference)
                throw error
            }
        } catch let refusal as JSONRefusal {
            throw error(refusal, value, at: path(to: reference))
        }
    }

    /// A member that is filled by a container or encoder of its own.
    func appendHole(_ key: some CodingKey, asMemberOf reference: Reference) -> JSONSink {
        let child = JSONSink(within: self, at: reference, key: key)
        do {
            try appendMember(key, of: reference, value: child) { sink, _ in sink.holes.append((sink.bytes.count, child))
            }
        } catch {
            note(error)
        }
        return child
    }

    /// An element that is filled by a container or encoder of its own.
    func appendHole(asElementOf reference: Reference) -> JSONSink {
        let key = JSONIndexKey(count(at: reference))
        let child = JSONSink(within: self, at: reference, key: key)
        do {
            try appendElement(key, of: reference, value: child) { sink, _ in
                sink.holes.append((sink.bytes.count, child))
            }
        } catch {
            note(error)
        }
        return child
    }

    /// Requesting a container cannot throw; the whole encoding fails at its end instead.
    private func note(_ error: any Error) {
        if notes.misuse == nil { notes.misuse = error as? EncodingError }
    }

    @inline(__always)
    private func appendMember<T>(
        _ key: some CodingKey,
        of reference: Reference,
        value: T,
        _ write: (JSONSink, Int) throws -> Void
    ) throws {
        try appendPart(key, of: reference, form: .object, value: value) { sink, depth throws in
            guard sink.bytes.append(quoted: key.stringValue) else { throw JSONRefusal.zeroCharacter }
            sink.bytes.append([UInt8].colon)
            try write(sink, depth)
        }
    }

    @inline(__always)
    private func appendElement<T>(
        _ key: JSONIndexKey,
        of reference: Reference,
        value: T,
        _ write: (JSONSink, Int) throws -> Void
    ) throws {
        try appendPart(key, of: reference, form: .array, value: value, write)
    }

    /// Writes one part of a container. When that fails, what was written is taken back, so that a type may catch the
    /// error and go on.
    @inline(__always)
    private func appendPart<T>(
        _ key: some CodingKey,
        of reference: Reference,
        form: Scope.Form,
        value: T,
        _ write: (JSONSink, Int) throws -> Void
    ) throws {
        let index = Int(reference.index)
        guard isCurrent(reference), scopes[index].form == form else {
            throw error(.staleContainer, value, at: path(to: reference) + [key])
        }
        let start = bytes.count
        let holeCount = holes.count
        if scopes[index].count > 0 { bytes.append([UInt8].comma) }
        do {
            try write(self, scopes[index].depth + 1)
            scopes[index].count += 1
        } catch {
            unwind(to: start, holeCount: holeCount, scope: reference)
            guard let refusal = error as? JSONRefusal else { throw error }
            throw self.error(refusal, value, at: path(to: reference) + [key])
        }
    }

    private func unwind(to start: Int, holeCount: Int, scope: Reference) {
        bytes.removeSubrange(start...)
        holes.removeSubrange(holeCount...)
        scopes.removeSubrange((Int(scope.index) + 1)...)
    }

    /// Writes a whole value: directly if its form is known here, else by its own `encode(to:)`.
    private func append<T: Encodable>(_ value: T, key: (any CodingKey)?, depth: Int) throws {
        if try appendKnown(value, depth: depth) { return }
        guard depth <= JSONParser.maximumDepth else { throw JSONRefusal.depth }
        push(key: key, depth: depth)
        do {
            try value.encode(to: PortableEncoder(sink: self, scope: current))
        } catch {
            noteFailure(error, at: path(to: current))
            throw error
        }
        close(scopes.removeLast())
    }

    /// The innermost value notes first and its containers keep its note. A note from elsewhere, or of another type,
    /// is of an error that was caught, and is replaced.
    private func noteFailure(_ error: any Error, at path: [any CodingKey]) {
        if let failure = notes.failure, failure.type == type(of: error),
            failure.path.starts(with: path, by: { $0.stringValue == $1.stringValue })
        {
            return
        }
        notes.failure = (path, type(of: error))
    }

    /// An error that is made here, and so replaces every earlier note.
    private func error(_ refusal: JSONRefusal, _ value: Any, at path: [any CodingKey]) -> EncodingError {
        notes.failure = (path, EncodingError.self)
        return .invalidValue(value, EncodingError.Context(codingPath: path, debugDescription: refusal.description))
    }
}
