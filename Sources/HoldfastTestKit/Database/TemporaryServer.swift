// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A Postgres server that lives as long as this process: reached only through a socket in a folder of its own, which is gone
/// with it.
enum TemporaryServer {
    /// It waits for the end of its standard input, which is the end of this process, however that comes about.
    private static let script = """
        trap '' INT TERM HUP QUIT
        programs="$1" folder="$2"
        remove() { rm -rf "$folder"; exit "$1"; }
        {
            "$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync &&
            cat >>"$folder/data/postgresql.conf" <<SETTINGS &&
        listen_addresses = ''
        unix_socket_directories = '$folder'
        port = 5432
        fsync = off
        max_connections = 200
        max_locks_per_transaction = 256
        SETTINGS
            "$programs/pg_ctl" start -w -t 120 -D "$folder/data" -l "$folder/server.log"
        } </dev/null >"$folder/start.log" 2>&1 || {
            tail -n 5 "$folder/start.log" "$folder/server.log" 2>/dev/null
            echo FAILED
            remove 1
        }
        echo READY
        exec >/dev/null 2>&1
        cat >/dev/null
        "$programs/pg_ctl" stop -w -m immediate -D "$folder/data"
        remove 0
        """

    /// - Returns: How to connect to it.
    /// - Throws: ``TestKitError`` when there are no programs of a server, or when it does not come up.
    static func start() async throws -> String {
        let programs = try PostgresPrograms.find()
        let folder = try self.makeFolder(isForPostgres: !programs.prefix.isEmpty)
        let arguments =
            programs.prefix + ["/bin/sh", "-c", self.script, "holdfast-test-server", programs.folder, folder]
        let output = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: self.spawn(arguments)) }
        }
        guard let output, output.last == "READY" else {
            let reason = output?.dropLast().joined(separator: "; ") ?? "its shell could not be started"
            throw TestKitError(
                .serverFailed,
                "the temporary server of \(programs.folder) did not come up: \(reason). Mend that, or set "
                    + "\(TestServer.variable) to the URL of a server that runs"
            )
        }
        return "host=\(folder) port=5432 user=postgres dbname=postgres"
    }

    /// In `/tmp`, because the path of a socket must be short.
    private static func makeFolder(isForPostgres: Bool) throws -> String {
        let folder = "/tmp/holdfast-test-\(UUID().uuidString.prefix(8).lowercased())"
        var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: false,
            attributes: attributes
        )
        if isForPostgres {
            attributes[.ownerAccountName] = "postgres"
            attributes[.groupOwnerAccountName] = "postgres"
            try FileManager.default.setAttributes(attributes, ofItemAtPath: folder)
        }
        return folder
    }

    /// Starts a command and reads what it prints, up to `READY` or `FAILED`. Blocks its thread.
    ///
    /// Not Foundation's `Process`: the command needs a process group of its own, so that Ctrl-C does not end it before it has
    /// cleaned up, and unblocked signals, or the server could not be stopped.
    private static func spawn(_ words: [String]) -> [String]? {
        var input: [Int32] = [0, 0]
        var output: [Int32] = [0, 0]
        guard pipe(&input) == 0, pipe(&output) == 0 else { return nil }
        // What other programs inherited would keep the server alive, or us waiting.
        for descriptor in input + output { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input[0], 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        posix_spawn_file_actions_adddup2(&actions, output[1], 2)
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        var flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETPGROUP)
        // The server lives as long as this process: whoever waits for the end of one of our files, as Foundation's `Process`
        // does for that of its child, would wait for ever if the server had it, too.
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
        let isStarted = posix_spawn(&pid, words[0], &actions, &attributes, arguments, environ) == 0
        close(input[0])
        close(output[1])
        defer { close(output[0]) }
        // The other end of the input stays open as long as this process lives, and nobody writes to it.
        guard isStarted else {
            close(input[1])
            return nil
        }
        return self.lines(from: output[0])
    }

    private static func lines(from descriptor: Int32) -> [String] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
            if lines.last == "READY" || lines.last == "FAILED" { return lines }
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return lines + ["FAILED"] }
            bytes += buffer[..<count]
        }
    }
}
