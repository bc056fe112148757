// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The standard streams. Results go to one, everything said about them to the other.
enum Terminal {
    static var showsColor: Bool {
        // https://no-color.org: set to anything but the empty text.
        let isUnwanted = ProcessInfo.processInfo.environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        return !isUnwanted && isatty(STDOUT_FILENO) == 1
    }

    static func print(_ text: String) throws(Failure) {
        guard self.write(text, to: STDOUT_FILENO) else {
            throw Failure(.failed, "the output could not be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Says something on the standard error stream. Nobody hears it if that one cannot be written.
    static func complain(_ sentence: String) {
        _ = self.write("holdfast: \(Redaction.withoutPasswords(sentence))\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                guard errno == EINTR else { return false }
            } else {
                rest = rest.dropFirst(count)
            }
        }
        return true
    }
}

/// Under a name of its own: within `Terminal` the other `write` would hide it.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

enum Redaction {
    /// Complaints about the command line quote it, and a URL in the wrong place may hold a password.
    static func withoutPasswords(_ text: String) -> String {
        text.replacing(/(:\/\/[^:@\/\s]*:)[^\s\/]*@/) { "\($0.output.1)***@" }
            .replacing(/(?i)(password\s*=\s*)('[^']*'|[^\s&']+)/) { "\($0.output.1)***" }
    }
}
