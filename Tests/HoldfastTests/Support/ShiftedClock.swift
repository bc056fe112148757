// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Foundation
import TestSupport

/// A wall clock of its own for processes of a test, which can be set while they run. Monotonic clocks are left alone.
///
/// A library that is loaded before the C library answers in its place, by what stands in a file.
struct ShiftedClock: Sendable {
    private let folder: String

    /// Must be readable by whoever runs the processes.
    init(in folder: String) async throws {
        self.folder = folder
        try Self.source.write(toFile: "\(folder)/clock.c", atomically: true, encoding: .utf8)
        try await Command.run("clang", ["-shared", "-fPIC", "-O1", "-o", "clock.so", "clock.c"], in: folder)
        try self.set(to: 0)
    }

    /// What a process needs in its environment.
    var environment: [String: String] {
        ["LD_PRELOAD": "\(self.folder)/clock.so", "SHIFTED_CLOCK": "\(self.folder)/shift"]
    }

    /// Sets the clock to so many seconds after the true time; negative: before it.
    func set(to seconds: Int64) throws {
        let path = "\(self.folder)/shift"
        if !FileManager.default.fileExists(atPath: path) {
            try Data(count: MemoryLayout<Int64>.size).write(to: URL(filePath: path))
        }
        // Within the file, which the processes have mapped.
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        defer { try? file.close() }
        try withUnsafeBytes(of: seconds) { try file.write(contentsOf: Data($0)) }
    }

    private static let source = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>

        static volatile int64_t *shift;

        __attribute__((constructor)) static void begin(void) {
          const char *path = getenv("SHIFTED_CLOCK");
          int file = path ? open(path, O_RDONLY) : -1;
          if (file < 0) return;
          void *memory = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
          if (memory != MAP_FAILED) shift = memory;
          close(file);
        }

        int clock_gettime(clockid_t clock, struct timespec *now) {
          int status = syscall(SYS_clock_gettime, clock, now);
          if (status == 0 && shift && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *shift;
          return status;
        }

        int gettimeofday(struct timeval *now, void *zone) {
          struct timespec time;
          clock_gettime(CLOCK_REALTIME, &time);
          now->tv_sec = time.tv_sec;
          now->tv_usec = time.tv_nsec / 1000;
          return 0;
        }

        time_t time(time_t *now) {
          struct timespec time;
          clock_gettime(CLOCK_REALTIME, &time);
          if (now) *now = time.tv_sec;
          return time.tv_sec;
        }

        int timespec_get(struct timespec *now, int base) {
          clock_gettime(CLOCK_REALTIME, now);
          return base;
        }
        """
}
