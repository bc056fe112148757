// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Which statements a connection has prepared: bounded, the least recently used one goes first.
///
/// A statement counts only once the server has said that it prepared it. Names are never used twice, so a statement
/// that was forgotten can be prepared again while the old one still waits to be deallocated.
struct StatementCache {
    struct Key: Hashable {
        let sql: String
        let types: [UInt32]
    }

    enum Plan: Equatable {
        case run(name: String)
        case prepareAndRun(name: String)
    }

    private struct Entry {
        let name: String
        var lastUse: UInt64
    }

    private let limit: Int
    private var entries: [Key: Entry] = [:]
    private var keys: [String: Key] = [:]
    private var uses: UInt64 = 0
    private var names: UInt64 = 0
    /// Statements that are no longer wanted but still exist on the server.
    private(set) var discarded: [String] = []

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    var count: Int { entries.count }

    /// How to run a statement. `prepareAndRun` must be followed by ``forget(_:existsOnServer:)`` if preparing failed.
    mutating func plan(_ key: Key) -> Plan {
        uses += 1
        if let name = entries[key]?.name {
            entries[key]?.lastUse = uses
            return .run(name: name)
        }
        names += 1
        let name = "holdfast_\(names)"
        entries[key] = Entry(name: name, lastUse: uses)
        keys[name] = key
        if entries.count > limit, let oldest = entries.values.min(by: { $0.lastUse < $1.lastUse }) {
            forget(oldest.name, existsOnServer: true)
        }
        return .prepareAndRun(name: name)
    }

    /// Removes a statement, and remembers it for deallocation if the server has it.
    mutating func forget(_ name: String, existsOnServer: Bool) {
        if let key = keys.removeValue(forKey: name) {
            entries[key] = nil
            if existsOnServer { discarded.append(name) }
        } else if !existsOnServer {
            // Evicted in the same pipeline that failed to prepare it.
            discarded.removeAll { $0 == name }
        }
    }

    /// Takes the statements to deallocate; ``restoreDiscarded(_:)`` gives back what could not be.
    mutating func takeDiscarded() -> [String] {
        defer { discarded = [] }
        return discarded
    }

    mutating func restoreDiscarded(_ name: String) {
        discarded.append(name)
    }
}
