// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

/// A program that must succeed.
///
/// Not Foundation's `Process`: on Linux that one takes a program for running as long as anything it left behind runs, and
/// `pg_ctl start` leaves a server behind.
package enum Command {
    package static func run(_ path: String, _ arguments: [String], in folder: String) async throws {
        let log = "\(folder)/command-\(UInt64.random(in: .min ... .max)).log"
        let words = ["/usr/bin/env", "-C", folder, path] + arguments
        let status = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: spawnAndWait(words, log: log)) }
        }
        guard status == 0 else {
            let output = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw TemporaryPostgres.Failed(description: "\(words.joined(separator: " ")): status \(status): \(output)")
        }
    }

    /// Blocks its thread.
    private static func spawnAndWait(_ words: [String], log: String) -> Int32 {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // A server that inherited blocked signals could not be stopped.
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var flags = Int16(POSIX_SPAWN_SETSIGMASK)
        // A server that it leaves behind must not keep open what others wait for the end of.
        #if canImport(Darwin)
        flags |= Int16(POSIX_SPAWN_CLOEXEC_DEFAULT)
        #elseif canImport(Glibc)
        // By its name: the header hides it from Swift.
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        if let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") {
            _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
        }
        #endif
        posix_spawnattr_setflags(&attributes, flags)

        var pid: pid_t = 0
        let arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        guard posix_spawn(&pid, words[0], &actions, &attributes, arguments, environ) == 0 else { return -1 }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return -1 }
        }
        return status
    }
}
