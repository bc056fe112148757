// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Supervisor {
    /// Keeps two files in a folder of this process's own, for probes that look at their age. Each is written anew every five
    /// seconds:
    ///
    /// - `alive` unless a restart is likely to help (``HoldfastExecutor/Health/isStuck``). A process that does not respond
    ///   writes nothing either. A database that is down changes nothing: a restart would not bring it back.
    /// - `ready` while the executor claims and runs work; otherwise there is no such file.
    ///
    /// The folder is created if it is missing. The files' content is a line for people.
    public static func folder(_ path: String) -> Supervisor {
        Supervisor(longestSilence: nil) { _ in HealthFolder(path: path) }
    }
}

/// The two files.
struct HealthFolder: SupervisorChannel {
    private let folder: URL
    private var isPrepared = false

    init(path: String) { self.folder = URL(filePath: path, directoryHint: .isDirectory) }

    private var alive: URL { self.folder.appending(path: "alive") }
    private var ready: URL { self.folder.appending(path: "ready") }

    mutating func report(_ health: HoldfastExecutor.Health) throws {
        if !self.isPrepared {
            try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
            // An earlier process may have died here, and its word is not ours.
            self.finish()
            self.isPrepared = true
        }
        let line = Data("\(health.sentence)\n".utf8)
        if !health.isStuck { try line.write(to: self.alive) }
        if health.isReady { try line.write(to: self.ready) } else { Self.remove(self.ready) }
    }

    mutating func finish() {
        Self.remove(self.alive)
        Self.remove(self.ready)
    }

    private static func remove(_ file: URL) { try? FileManager.default.removeItem(at: file) }
}
